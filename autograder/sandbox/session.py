"""The trusted side of the sandbox: a fork server, which starts a process for each submission.

with Sandbox(Limits()) as sandbox, sandbox.start() as student:
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
    bubblewrap_command,
    fork_server_command,
    packages_to_hide,
    trusted_environment,
)
from autograder.sandbox.limits import Limits, Spent
from autograder.sandbox.results import Ending
from autograder.sandbox.student_process import StudentProcess

# What notebooks of this course import; the fork server imports it once.
PRELOAD = ("torch", "numpy", "matplotlib.pyplot")
# Our own packages, which hold the hidden tests and the right answers.
HIDDEN_PACKAGES = ("autograder", "convnets")
START_SECONDS = 120.0


class Sandbox:
    """A sandbox with a fork server.

    Args:
        limits: what each submission may use.
        hidden: folders that no submission may see, even if Python lies next to or above them.
        preload: modules that the fork server imports for all submissions.
        isolated: if `False`, student code is trusted with everything that this process may do;
            limits on time, memory and output still hold, and tests still run here only.

    Raises:
        SandboxError: it cannot run on this machine; the message says why, and what to do.
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
                    line = bubblewrap_command(hidden, inside.fileno(), arguments)
                    environment = None
                else:
                    line = fork_server_command(inside.fileno(), arguments)
                    environment = trusted_environment(self._folder.name)
                # Not --die-with-parent: it ends the sandbox with the thread that started it, which
                # may end before this process. The fork server exits when our socket is closed.
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
                    f"The sandbox does not start on this machine ({self._last_line()}): grade on a "
                    "Linux that lets users create namespaces, start the container with fewer "
                    "restrictions, or trust the submissions with --no-sandbox."
                )
            if isolated:
                self._check_process_limit()
        except BaseException:
            self.close()
            raise

    def _check_process_limit(self) -> None:
        with self.start() as student:
            if student.run_cell(_FORK_TOO_OFTEN).state is Ending.FAILED:
                raise SandboxError(
                    "This Linux does not enforce the limit on processes, so a fork bomb could stop "
                    "the machine: grade on Linux 5.14 or newer, or trust the submissions with "
                    "--no-sandbox."
                )

    def _last_line(self) -> str:
        """The last line that the fork server or bubblewrap wrote."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it gave no reason"

    def _receive(self) -> tuple[bytes, list[int]]:
        """A message of the fork server and the descriptor with it; empty if the server is gone."""
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
        """End the fork server, and with it all student processes."""
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
        """Start a student process.

        Args:
            files: the files in its folder, by path relative to the folder.
            spent: what earlier processes of the notebook have used; it is kept up to date.

        Raises:
            SandboxError: the process could not be isolated, or the fork server has ended.
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
                return signal.SIGKILL  # the sandbox was closed, which ended all its processes
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
            raise SandboxError(f"The sandbox has ended ({self._last_line()}): grade again.")
        return json.loads(text), received


def available() -> str:
    """Why student code cannot be isolated on this machine; "" if it can.

    Starts a sandbox without preloaded modules, which takes seconds.
    """
    try:
        Sandbox(preload=()).close()
    except SandboxError as error:
        return str(error)
    return ""


# The limit allows two processes, so the second fork must fail. A child that has ended still counts,
# because its parent has not waited for it.
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
