"""The trusted side: a box with a warm process that forks a student process for each submission.

with Sandbox(Limits()) as box, box.start() as student:
    result = student.run_cell("def double(x): return 2 * x")
    student.call("double", 4)
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autograder.sandbox.box import (
    ROOT,
    SandboxError,
    command,
    environment_without_box,
    packages_to_hide,
    worker,
)
from autograder.sandbox.limits import SCRATCH, Limits, Spent
from autograder.sandbox.results import Ending
from autograder.sandbox.student_process import StudentProcess

# What notebooks of this course import; each costs the warm process its time once.
PRELOAD = ("torch", "numpy", "matplotlib.pyplot")
# Our own packages hold the hidden tests and the right answers.
HIDDEN_PACKAGES = ("autograder", "convnets")
START_SECONDS = 120.0


class Sandbox:
    """A box with a warm process.

    Args:
        limits: for each submission.
        hidden: folders that no submission may see, should Python lie around them.
        preload: modules that the warm process imports.
        isolated: if `False`, student code is trusted with everything that this process may do;
            limits on time, memory and output still hold, and tests still run here only.

    Raises:
        SandboxError: it cannot run here; the message says why.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        hidden: Iterable[Path] = (),
        preload: Iterable[str] = PRELOAD,
        isolated: bool = True,
    ) -> None:
        if sys.platform != "linux":
            raise SandboxError(
                "Student code can be limited and isolated on Linux only: grade on Linux, for "
                "instance in a container or a virtual machine."
            )
        if isolated and Path(sys.prefix).is_relative_to(SCRATCH):
            raise SandboxError(
                f"Python lies in {sys.prefix}, but each hand-in has {SCRATCH} for itself: move the "
                "project to another folder and set it up there."
            )
        self.limits = limits or Limits()
        self._lock = threading.Lock()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._control, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._folder = tempfile.TemporaryDirectory()
        hidden = (*hidden, ROOT / "assignments", *packages_to_hide(HIDDEN_PACKAGES))
        arguments = [*map(json.dumps, (asdict(self.limits), list(preload), isolated))]
        try:
            with inside:
                if isolated:
                    line, environment = command(hidden, inside.fileno(), arguments), None
                else:
                    line = worker(inside.fileno(), arguments)
                    environment = environment_without_box(self._folder.name)
                # No --die-with-parent: it follows the thread that started the box, which may end
                # before the process. The warm process leaves when our end of the socket closes.
                self._process = subprocess.Popen(
                    line,
                    env=environment,
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=self._log,
                    stderr=self._log,
                    pass_fds=[inside.fileno()],
                    start_new_session=True,
                )
            self._control.settimeout(START_SECONDS)
            if not self._receive()[0]:
                raise SandboxError(
                    f"The sandbox does not start here: {self._last_words()}. It needs a Linux that "
                    "lets users make namespaces; a container may have to be started with fewer "
                    "restrictions. Or say --no-sandbox and trust the hand-ins."
                )
            if isolated:
                self._see_that_the_limit_on_processes_binds()
        except BaseException:
            self.close()
            raise

    def _see_that_the_limit_on_processes_binds(self) -> None:
        with self.start() as student:
            if student.run_cell(_FORK_TOO_OFTEN).state is Ending.FAILED:
                raise SandboxError(
                    "The limit on processes does not bind here, so a fork bomb could stop this "
                    "machine; the sandbox needs Linux 5.14 or newer. Or say --no-sandbox and trust "
                    "the hand-ins."
                )

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it gave no reason"

    def _receive(self) -> tuple[bytes, list[int]]:
        """What the warm process says, and a descriptor with it; nothing if it is gone."""
        try:
            text, descriptors, _, _ = socket.recv_fds(self._control, 4096, 1)
        except OSError:
            return b"", []
        return text, list(descriptors)

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the warm process and with it all student processes."""
        self._control.close()
        process = getattr(self, "_process", None)
        if process is not None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()
        self._log.close()
        self._folder.cleanup()

    def start(
        self, files: Mapping[str, bytes] | None = None, spent: Spent | None = None
    ) -> StudentProcess:
        """A fresh student process.

        Args:
            files: what lies in its folder, by path relative to it.
            spent: of the notebook's limits by earlier processes; it is kept up to date.

        Raises:
            SandboxError: it could not be walled in.
            CourseError: the files do not fit into its folder.
        """
        if self._control.fileno() < 0:
            raise SandboxError("The sandbox is closed.")
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                reply, [pidfd] = self._request({"do": "start"}, theirs)
            except SandboxError:
                ours.close()
                raise

        def end() -> int:
            os.close(pidfd)
            if self._control.fileno() < 0:
                return signal.SIGKILL  # the box was closed, and took all with it
            return int(self._request({"do": "end", "pid": reply["pid"]})[0]["status"])

        return StudentProcess(ours, pidfd, end, self.limits, dict(files or {}), spent or Spent())

    def _request(
        self, request: dict[str, Any], channel: socket.socket | None = None
    ) -> tuple[dict[str, Any], list[int]]:
        descriptors = [channel.fileno()] if channel else []
        with self._lock:
            with suppress(OSError):
                socket.send_fds(self._control, [json.dumps(request).encode()], descriptors)
            text, received = self._receive()
        if not text:
            raise SandboxError(f"The sandbox has ended: {self._last_words()}.")
        return json.loads(text), received


def available() -> str:
    """Why student code cannot be isolated here, in a sentence; "" if it can.

    Starts a box without PyTorch's friends.
    """
    try:
        Sandbox(preload=()).close()
    except SandboxError as error:
        return str(error)
    return ""


# Its process may be one of two, so the third must not start; ended ones count as long as nobody
# waited for them.
_FORK_TOO_OFTEN = """
import os, resource
resource.setrlimit(resource.RLIMIT_NPROC, (2, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
try:
    for _ in range(2):
        if not os.fork():
            os._exit(0)
except BlockingIOError:
    pass
else:
    raise RuntimeError
"""
