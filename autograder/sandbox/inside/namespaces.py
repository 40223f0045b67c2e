"""Isolates a process on Linux: namespaces, mounts, capabilities and seccomp, through the C library.

The order matters. The fork server creates a user namespace, in which it has the capabilities for
what follows. Each student process gets a process, mount, network, IPC, host name and control group
namespace, which belong to the fork server, and at last a user namespace for itself. There the limit
on processes counts the submission's processes alone, and its capabilities cover none of the other
namespaces.
"""

import ctypes
import errno
import os
import platform
import struct
from pathlib import Path

# <linux/sched.h>
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
# <linux/mount.h>
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND = 1, 2, 4, 8, 32, 4096
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
# <linux/prctl.h>
PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 4, 22, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38
# Root changes to this account, which owns nothing: the kernel exempts root from process limits.
UNPRIVILEGED = 64_000
# The user and group that processes see themselves as, in their user namespace.
STUDENT = 1000

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, action: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{action}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Move this process into new namespaces; raises OSError."""
    _checked(_libc.unshare(flags), "unshare")


def mount(
    kind: str | None, target: str, flags: int, options: str = "", *, source: str = "none"
) -> None:
    """Mount a file system, or change how one is mounted; raises OSError."""
    _checked(
        _libc.mount(
            source.encode(), target.encode(), kind and kind.encode(), flags, options.encode()
        ),
        f"mount {target}",
    )


def _prctl(option: int, value: int = 0, more: object = 0) -> None:
    _checked(_libc.prctl(option, value, more, 0, 0), f"prctl {option}")


def _unshare_users() -> None:
    """Enter a new user namespace as the user `STUDENT`, with all capabilities in it."""
    user, group = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER)
    _prctl(PR_SET_DUMPABLE, 1)  # otherwise /proc/self belongs to root
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{STUDENT} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{STUDENT} {group} 1")


def enter_namespaces() -> None:
    """Become the first process of a new process namespace, without any privilege outside of it.

    The call returns in a child process; the calling process waits for that child and exits.

    Raises:
        OSError: the kernel or its configuration refuses a step.
    """
    if os.geteuid() == 0:
        # bubblewrap covers parts of root's /proc, and the kernel then allows no further one.
        mount("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        os.setgroups([])
        os.setresgid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED)
        os.setresuid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED)
        _prctl(PR_SET_DUMPABLE, 1)
    _unshare_users()
    unshare(CLONE_NEWNS | CLONE_NEWPID)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os._exit(0)
    mount(None, "/", MS_REC | MS_PRIVATE)
    mount("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def fork_into_pid_namespace(own: int) -> int:
    """Fork like `os.fork`; the child is the first process of a new process namespace.

    Args:
        own: a descriptor of this process's /proc/self/ns/pid, to return to.

    Raises:
        OSError: the kernel refuses the namespace or the fork.
    """
    unshare(CLONE_NEWPID)
    try:
        child = os.fork()
    except OSError:
        _checked(_libc.setns(own, CLONE_NEWPID), "setns")
        raise
    if child:
        _checked(_libc.setns(own, CLONE_NEWPID), "setns")
    return child


def isolate(scratch: str, disk_bytes: int, frozen: str) -> None:
    """Isolate this process for good: it keeps its own files and what is read-only.

    Args:
        scratch: an empty folder, over which a file system for this process alone is mounted; its
            subfolder `tmp` becomes /tmp too, and its subfolder `shm` /dev/shm.
        disk_bytes: the size of that file system.
        frozen: a folder that the fork server wrote; it becomes read-only.

    Raises:
        OSError: the kernel or its configuration refuses a step.
    """
    os.setsid()
    unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)
    quiet = MS_NOSUID | MS_NODEV
    mount(None, "/", MS_REC | MS_PRIVATE)
    mount("proc", "/proc", quiet | MS_NOEXEC)
    mount("tmpfs", scratch, quiet, f"size={disk_bytes},nr_inodes=20000,mode=700")
    for name in ("tmp", "shm"):
        Path(scratch, name).mkdir()
    mount(None, "/dev/shm", MS_BIND, source=f"{scratch}/shm")
    _replace_tmp(f"{scratch}/tmp")
    mount("tmpfs", "/dev/pts", quiet | MS_RDONLY, "size=4k,mode=755")
    mount(None, frozen, MS_REMOUNT | MS_BIND | MS_RDONLY | quiet)
    _unshare_users()
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    _drop_capabilities()
    _filter_system_calls()


def _replace_tmp(folder: str) -> None:
    """Show a folder as /tmp, and in it what the sandbox has at /tmp, which stays read-only.

    The sandbox has something there if Python is installed below /tmp.
    """
    shown = {path: os.open(path, os.O_PATH) for path in Path("/tmp").iterdir()}
    mount(None, "/tmp", MS_BIND, source=folder)
    for path, descriptor in shown.items():
        source = Path(f"/proc/self/fd/{descriptor}")
        if source.is_dir():
            path.mkdir()
        else:
            path.touch()
        mount(None, str(path), MS_BIND | MS_REC, source=str(source))
        os.close(descriptor)


def _drop_capabilities() -> None:
    for capability in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
        _prctl(PR_CAPBSET_DROP, capability)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    header = struct.pack("=Ii", 0x20080522, 0)  # version 3, this process
    _checked(_libc.capset(header, bytes(24)), "capset")
    _prctl(PR_SET_DUMPABLE, 1)


# System calls that need no capability and get around a limit or reach into the kernel: memory that
# belongs to no process, the keys of the user who grades, kernel programs, new namespaces.
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
# AF_UNIX, AF_INET, AF_INET6, AF_NETLINK; a network namespace does not confine AF_VSOCK.
FAMILIES = (1, 2, 10, 16)
# <linux/filter.h>
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def _filter_system_calls() -> None:
    machine = platform.machine()
    if machine not in REFUSED:
        raise OSError(errno.ENOSYS, f"there is no list of system calls to refuse on {machine}")
    refused = sorted(REFUSED[machine].values())
    refuse = (_RETURN, 0, 0, _ERROR | errno.EPERM)
    steps = [  # operation, steps to skip if true, steps to skip if false, operand
        (_LOAD, 0, 0, 4),  # the architecture
        (_IF_EQUAL, 1, 0, ARCHITECTURE[machine]),
        refuse,
        (_LOAD, 0, 0, 0),  # the number of the system call
        (_IF_AT_LEAST, len(refused) + len(FAMILIES) + 4, 0, 0x40000000),  # an x32 call
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
    _prctl(PR_SET_SECCOMP, 2, ctypes.byref(program))
