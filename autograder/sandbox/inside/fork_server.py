"""The fork server inside the sandbox, and the student processes that it forks.

The fork server imports once what notebooks need. It has one thread, never opens a ZMQ socket, and
never runs student code. For each submission it forks a child, which isolates itself and then talks
through the channel that came with the request. The fork server exits when the control socket is
closed, and the kernel then ends all processes in its process namespace.

Without isolation the children are ordinary processes; what they leave running is found and ended.
"""

import gc
import importlib
import json
import os
import resource
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from autograder.sandbox.inside.namespaces import (
    adopt_orphans,
    enter_namespaces,
    fork_into_pid_namespace,
    isolate,
)
from autograder.sandbox.limits import SCRATCH, Limits
from autograder.sandbox.protocol import MIB, Message, encode, receive

# The longest question, which holds the inputs of a check.
QUESTION_BYTES = 2**30
# Address space that threads and allocators reserve but do not use.
RESERVED = 1024 * MIB


def prepare(preload: list[str]) -> Any:
    """Import modules, and make the shell that every student process inherits.

    Raises:
        RuntimeError: an import started a thread, after which forking is not safe.
    """
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    for name in preload:
        importlib.import_module(name)
    from autograder.sandbox.inside.answers import rehearse
    from autograder.sandbox.inside.shell import make_shell, run_cell

    rehearse()
    shell = make_shell(Path(os.environ["HOME"]))
    for source in ("%matplotlib inline\n1 / 0", "1"):
        run_cell(shell, source, MIB)  # imports what IPython imports on first use
    shell.reset()  # type: ignore[no-untyped-call]
    shell.execution_count = 1
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads > 1:
        raise RuntimeError(f"The fork server has {threads} threads; forking would not be safe.")
    gc.collect()
    gc.freeze()
    return shell


def serve(control: socket.socket, limits: Limits, shell: Any, *, isolated: bool) -> None:
    """Start and end student processes until the control socket is closed."""
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC) if isolated else -1
    while True:
        text, descriptors, _, _ = socket.recv_fds(control, 4096, 1)
        if not text:
            return
        request = json.loads(text)
        if request["do"] == "end":
            status = _end(request["pid"], isolated=isolated)
            control.send(json.dumps({"status": status}).encode())
            continue
        [channel] = descriptors
        child = fork_into_pid_namespace(own) if isolated else os.fork()
        if not child:
            try:
                student_process(socket.socket(fileno=channel), limits, shell, isolated=isolated)
            finally:
                os._exit(1)
        os.close(channel)
        pidfd = os.pidfd_open(child)
        socket.send_fds(control, [json.dumps({"pid": child}).encode()], [pidfd])
        os.close(pidfd)


def _end(pid: int, *, isolated: bool) -> int:
    """End a student process and everything that it started; return its wait status."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    if not isolated:
        while children := Path("/proc/thread-self/children").read_text().split():
            for orphan in map(int, children):
                os.kill(orphan, signal.SIGKILL)
                os.waitpid(orphan, 0)
    return status


def student_process(channel: socket.socket, limits: Limits, shell: Any, *, isolated: bool) -> None:
    """Run a submission's cells and answer questions until the channel is closed."""
    from autograder.sandbox.inside.answers import Responder, hide
    from autograder.sandbox.inside.shell import record_streams

    channel = _close_all_but(channel)
    try:
        scratch = SCRATCH
        if isolated:
            isolate(str(SCRATCH), limits.disk_mib * MIB, os.environ["HOME"])
        else:
            os.setsid()
            scratch = Path(tempfile.mkdtemp())
        files = receive(channel, QUESTION_BYTES)["files"]
        try:
            _write_files(scratch, files)
        except (OSError, ValueError) as error:
            channel.sendall(encode({"unfit": f"{type(error).__name__}: {error}"}))
            return
        _set_limits(limits, isolated=isolated)
    except Exception as error:
        channel.sendall(encode({"unavailable": f"{type(error).__name__}: {error}"}))
        return
    record_streams()
    responder = Responder(shell, limits.output_kib * 1024)
    hide()
    own = os.getpid()
    channel.sendall(encode({"ready": True}))
    while True:
        try:
            question = receive(channel, QUESTION_BYTES)
        except EOFError:
            return
        reply = _reply(responder, question)
        if os.getpid() != own:
            return  # a cell forked, and this is the child
        channel.sendall(reply)


def _reply(responder: Any, question: Message) -> bytes:
    number = question["number"]
    answer = responder.answer(question)
    try:
        return encode({**answer, "number": number}, responder.refer)
    except Exception as error:  # the value cannot be encoded after all, or is too large to copy
        sentence = f"It returns a value that cannot be sent to its test: {error}"
        return encode({"error": ["student", sentence], "number": number})


def _close_all_but(channel: socket.socket) -> socket.socket:
    """Close every descriptor but the channel, which becomes descriptor 3; 0 to 2 are /dev/null."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    number = channel.detach()
    if number != 3:
        os.dup2(number, 3, inheritable=False)
    os.closerange(4, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    return socket.socket(fileno=3)


def _write_files(scratch: Path, files: dict[str, bytes]) -> None:
    """Write a submission's files into its folder, which becomes home and current folder.

    Raises:
        OSError: a file cannot be written.
        ValueError: a file would lie outside the folder.
    """
    home, temporary = scratch / "work", scratch / "tmp"
    home.mkdir()
    temporary.mkdir(exist_ok=True)
    for name, content in files.items():
        path = home / name
        if ".." in path.parts or not path.is_relative_to(home):
            raise ValueError(f"{name} lies outside the submission.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    os.chdir(home)
    os.environ.update(HOME=str(home), TMPDIR=str(temporary))
    tempfile.tempdir = None  # forget the fork server's
    sys.path[0] = ""  # as in a notebook: the current folder


def _set_limits(limits: Limits, *, isolated: bool) -> None:
    # If the machine runs out of memory, the kernel ends this process first.
    Path("/proc/self/oom_score_adj").write_text("1000")
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for kind, value in (
        (resource.RLIMIT_CPU, limits.notebook_cpu_seconds + 1),
        (resource.RLIMIT_AS, size + limits.memory_mib * MIB + RESERVED),
        # Without a user namespace it would count all processes of this user.
        *([(resource.RLIMIT_NPROC, limits.processes)] if isolated else []),
        (resource.RLIMIT_FSIZE, limits.disk_mib * MIB),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 1),  # one byte; with 0 the machine's crash reporter still starts
        (resource.RLIMIT_MEMLOCK, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        value = int(value) if hard == resource.RLIM_INFINITY else min(int(value), hard)
        resource.setrlimit(kind, (value, value))


def main() -> None:
    """Start the fork server with the arguments that `box.py` gives it."""
    control = socket.socket(fileno=int(sys.argv[1]))
    limits, preload, isolated = Limits(**json.loads(sys.argv[2])), *map(json.loads, sys.argv[3:])
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)  # Python's default: they become exceptions
    if isolated:
        enter_namespaces()
    else:
        adopt_orphans()
    shell = prepare(preload)
    control.send(b'{"ready": true}')
    serve(control, limits, shell, isolated=isolated)


if __name__ == "__main__":
    main()
