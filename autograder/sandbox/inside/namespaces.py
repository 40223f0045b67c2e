"""Linux's walls around a process, by the C library: namespaces, mounts, capabilities, seccomp.

The order matters. The warm process makes a user namespace, in which it may do what follows. Each
student process gets process, mount, network, IPC, host name and control group namespaces that
belong to it, and last a user namespace of its own: there the limit on processes counts only the
submission's own, and its capabilities reach none of the others.
"""

import ctypes
import errno
import os
import platform
import struct
from pathlib import Path

# <linux/sched.h>
NEW_MOUNTS, NEW_CGROUPS, NEW_HOST_NAME, NEW_IPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
NEW_USERS, NEW_PROCESSES, NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
# <linux/mount.h>
READ_ONLY, NO_SUID, NO_DEVICES, NO_EXEC, REMOUNT, BIND = 1, 2, 4, 8, 32, 4096
RECURSIVELY_PRIVATE = 0x4000 | (1 << 18)
# <linux/prctl.h>
SET_DUMPABLE, SET_SECCOMP, DROP_FROM_BOUNDS, SET_SUBREAPER, NO_NEW_PRIVILEGES = 4, 22, 24, 36, 38
# An account that owns nothing; the kernel exempts the real root from the limit on processes.
NOBODY = 64_000
INSIDE = 1000

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, action: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{action}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    _checked(_libc.unshare(flags), "unshare")


def mount(
    kind: str | None, target: str, flags: int, options: str = "", *, source: str = "none"
) -> None:
    _checked(
        _libc.mount(
            source.encode(), target.encode(), kind and kind.encode(), flags, options.encode()
        ),
        f"mount {target}",
    )


def _prctl(option: int, value: int = 0, more: object = 0) -> None:
    _checked(_libc.prctl(option, value, more, 0, 0), f"prctl {option}")


def _new_users() -> None:
    """A user namespace in which we are `INSIDE`, with all capabilities over what it will own."""
    user, group = os.geteuid(), os.getegid()
    unshare(NEW_USERS)
    _prctl(SET_DUMPABLE, 1)  # /proc/self belongs to root otherwise
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{INSIDE} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{INSIDE} {group} 1")


def found_warm_process() -> None:
    """Become the first process of namespaces that belong to an unprivileged user namespace.

    The process that called it waits and leaves; the call returns in its child.
    """
    if os.geteuid() == 0:
        # bubblewrap covers parts of root's /proc, and the kernel then allows no further one.
        mount("proc", "/proc", NO_SUID | NO_DEVICES | NO_EXEC)
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        _prctl(SET_DUMPABLE, 1)
    _new_users()
    unshare(NEW_MOUNTS | NEW_PROCESSES)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os._exit(0)
    mount(None, "/", RECURSIVELY_PRIVATE)
    mount("proc", "/proc", NO_SUID | NO_DEVICES | NO_EXEC)


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent ends."""
    _prctl(SET_SUBREAPER, 1)


def fork_into_new_processes(own: int) -> int:
    """`os.fork`, whose child is the first process of its own process namespace.

    Args:
        own: a descriptor of /proc/self/ns/pid, to come back to.
    """
    unshare(NEW_PROCESSES)
    try:
        child = os.fork()
    except OSError:
        _checked(_libc.setns(own, NEW_PROCESSES), "setns")
        raise
    if child:
        _checked(_libc.setns(own, NEW_PROCESSES), "setns")
    return child


def isolate(scratch: str, disk_bytes: int, frozen: str) -> None:
    """Give the student process what is its own, and take away all else.

    Args:
        scratch: an empty folder, which becomes its own file system.
        disk_bytes: the size of that file system.
        frozen: a folder that the warm process wrote, from now on read-only.
    """
    os.setsid()
    unshare(NEW_MOUNTS | NEW_NETWORK | NEW_IPC | NEW_HOST_NAME | NEW_CGROUPS)
    quiet = NO_SUID | NO_DEVICES
    mount(None, "/", RECURSIVELY_PRIVATE)
    mount("proc", "/proc", quiet | NO_EXEC)
    mount("tmpfs", scratch, quiet, f"size={disk_bytes},nr_inodes=20000,mode=700")
    Path(scratch, ".shm").mkdir()
    mount(None, "/dev/shm", BIND, source=f"{scratch}/.shm")
    mount("tmpfs", "/dev/pts", quiet | READ_ONLY, "size=4k,mode=755")
    mount(None, frozen, REMOUNT | BIND | READ_ONLY | quiet)
    _new_users()
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    _drop_capabilities()
    _filter_system_calls()


def _drop_capabilities() -> None:
    for capability in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
        _prctl(DROP_FROM_BOUNDS, capability)
    _prctl(NO_NEW_PRIVILEGES, 1)
    header = struct.pack("=Ii", 0x20080522, 0)  # version 3, this process
    _checked(_libc.capset(header, bytes(24)), "capset")
    _prctl(SET_DUMPABLE, 1)


# System calls that need no capability and get around a limit or reach into the kernel: memory that
# belongs to no process, keys of whoever started the grading, kernel programs, new namespaces.
# fmt: off
REFUSED = {
    "x86_64": {
        "shmget": 29, "semget": 64, "msgget": 68, "ptrace": 101, "pivot_root": 155, "mount": 165,
        "umount2": 166, "mq_open": 240, "add_key": 248, "request_key": 249, "keyctl": 250,
        "unshare": 272, "perf_event_open": 298, "open_by_handle_at": 304, "setns": 308,
        "memfd_create": 319, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425,
        "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsmount": 432, "mount_setattr": 442,
        "memfd_secret": 447,
    },
    "aarch64": {
        "umount2": 39, "mount": 40, "pivot_root": 41, "unshare": 97, "ptrace": 117, "mq_open": 180,
        "msgget": 186, "semget": 190, "shmget": 194, "add_key": 217, "request_key": 218,
        "keyctl": 219, "perf_event_open": 241, "open_by_handle_at": 265, "setns": 268,
        "memfd_create": 279, "bpf": 280, "userfaultfd": 282, "io_uring_setup": 425,
        "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsmount": 432, "mount_setattr": 442,
        "memfd_secret": 447,
    },
}
SOCKET = {"x86_64": 41, "aarch64": 198}
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # <linux/audit.h>
# fmt: on
# AF_UNIX, AF_INET, AF_INET6, AF_NETLINK; a network namespace does not hold AF_VSOCK.
FAMILIES = (1, 2, 10, 16)
# <linux/filter.h>
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def _filter_system_calls() -> None:
    machine = platform.machine()
    if machine not in REFUSED:
        raise OSError(errno.ENOSYS, f"no list of system calls for {machine}")
    refused = sorted(REFUSED[machine].values())
    refuse = (_RETURN, 0, 0, _ERROR | errno.EPERM)
    steps = [  # what to do, steps to jump if so, steps to jump if not, a number
        (_LOAD, 0, 0, 4),  # the architecture
        (_IF_EQUAL, 1, 0, ARCHITECTURE[machine]),
        refuse,
        (_LOAD, 0, 0, 0),  # the number of the call
        (_IF_AT_LEAST, len(refused) + len(FAMILIES) + 4, 0, 0x40000000),  # another calling form
        *(
            (_IF_EQUAL, len(refused) - at + len(FAMILIES) + 3, 0, number)
            for at, number in enumerate(refused)
        ),
        (_IF_EQUAL, 0, len(FAMILIES) + 2, SOCKET[machine]),
        (_LOAD, 0, 0, 16),  # its first argument
        *((_IF_EQUAL, len(FAMILIES) - at, 0, family) for at, family in enumerate(FAMILIES)),
        refuse,
        (_RETURN, 0, 0, _ALLOW),
        refuse,
    ]
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    program = _Program(len(steps), code)
    _prctl(SET_SECCOMP, 2, ctypes.byref(program))
