"""Measures what a student process and its descendants use, and ends them at their limits."""

import os
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from autograder.sandbox.limits import Limits, Spent

PROC = Path("/proc")
TICK = os.sysconf("SC_CLK_TCK")
INTERVAL = 0.05  # seconds
# Seconds between interrupting a cell and killing its process. After a cell that stops in time, the
# rest of the notebook runs in the same process.
GRACE = 0.5


class Use(NamedTuple):
    """What a tree of processes uses: processor time in seconds, memory in KiB."""

    cpu_seconds: float
    memory_kib: int


def host_pid(pidfd: int) -> int:
    """The process id that a process has outside the sandbox; -1 once it has ended.

    Raises:
        OSError: the kernel is older than Linux 5.4.
    """
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    raise OSError("This kernel's pidfds do not name their process; it must be Linux 5.4 or newer.")


def tree(pid: int) -> list[int]:
    """The process ids of a process and its descendants, orphans included.

    The kernel makes orphans children of the first process in their namespace.
    """
    found = [pid]
    for parent in found:
        with suppress(OSError):
            for task in (PROC / str(parent) / "task").iterdir():
                with suppress(OSError):
                    found += map(int, (task / "children").read_text().split())
    return found


def use(pid: int, ours_kib: int = 0) -> Use:
    """Measure a process and its descendants.

    Args:
        pid: the id of the first process.
        ours_kib: memory that each of them shares with the fork server (KiB), which does not count.
    """
    cpu, memory = 0.0, 0
    for number in tree(pid):
        with suppress(OSError):
            fields = (PROC / str(number) / "stat").read_text().rpartition(")")[2].split()
            # user and system time, of the process and of the children that it waited for
            cpu += sum(map(int, fields[11:15])) / TICK
            memory += max(0, _memory_kib(number) - ours_kib)
    return Use(cpu, memory)


def _memory_kib(pid: int) -> int:
    lines = (PROC / str(pid) / "status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssShmem")))


def shared_out_kib(pid: int) -> int:
    """Memory of a tree of processes (KiB), where shared pages count once; slower than `use`."""
    total = 0
    for number in tree(pid):
        with suppress(OSError):
            lines = (PROC / str(number) / "smaps_rollup").read_text().splitlines()
            total += sum(
                int(line.split()[1])
                for line in lines
                if line.startswith(("Pss_Anon:", "Pss_Shmem:"))
            )
    return total


class Watch(threading.Thread):
    """A thread that ends a student process when it passes a limit.

    Args:
        pidfd: the descriptor of the first process of the submission.
        channel: the socket to it; it is shut down with the process, because a process that the
            submission started may hold the other end open.
        limits: what the submission may use.
        spent: what this and earlier processes of the notebook have used; it is kept up to date.
    """

    def __init__(self, pidfd: int, channel: socket.socket, limits: Limits, spent: Spent) -> None:
        super().__init__(daemon=True, name="watch of a student process")
        self.pidfd = pidfd
        self.channel = channel
        self.limits = limits
        self.spent = spent
        #: The name of the limit for which the process was killed; "" if it was not.
        self.killed = ""
        #: The name of the limit for which the last cell was interrupted; "" if it was not.
        self.interrupted = ""
        #: Elapsed time of the last cell or question.
        self.seconds = 0.0
        self._pid = host_pid(pidfd)
        self._ours = _memory_kib(self._pid)
        self._begun: float | None = None
        self._grace = self._interrupted_at = 0.0
        #: Processor time at the last measurement, and when the cell or question began.
        self._cpu = self._cpu_begun = 0.0
        self._over = threading.Event()
        self._lock = threading.Lock()

    def begin(self, *, heeds_sigint: bool) -> None:
        """Start the clock of a cell or a question.

        Args:
            heeds_sigint: whether SIGINT can stop it; else it is killed at its limit.
        """
        with self._lock:
            self.interrupted = ""
            self._grace = GRACE if heeds_sigint else 0.0
            self._cpu_begun = self._cpu
            self._begun = time.monotonic()

    def end(self) -> float:
        """Stop the clock of a cell or a question; return its elapsed seconds."""
        with self._lock:
            seconds = time.monotonic() - self._begun if self._begun is not None else 0.0
            self.spent.wall_seconds += seconds
            if self._begun is not None:
                self.seconds = seconds
            self._begun = None
            return seconds

    def stop(self) -> None:
        """Stop watching; afterwards the descriptor may be closed."""
        self._over.set()
        self.join()
        self.end()
        self.spent.cpu_seconds += self._cpu
        self._cpu = 0.0

    def run(self) -> None:
        while not self.killed and not self._over.wait(INTERVAL):
            try:
                self._look()
            except ProcessLookupError:
                return

    def _look(self) -> None:
        now = use(self._pid, self._ours)
        with self._lock:
            self._cpu = now.cpu_seconds
            if self._too_much_memory(now):
                self._kill("memory_mib")
            elif self.spent.cpu_seconds + now.cpu_seconds > self.limits.notebook_cpu_seconds:
                self._kill("notebook_cpu_seconds")
            elif self._begun is not None:
                self._look_at_time(time.monotonic() - self._begun, now.cpu_seconds)

    def _look_at_time(self, wall: float, cpu: float) -> None:
        limits = self.limits
        if self.spent.wall_seconds + wall > limits.notebook_wall_seconds:
            self._kill("notebook_wall_seconds")
        elif self.interrupted:
            if wall > self._interrupted_at + self._grace:
                self._kill(self.interrupted)
        elif wall > limits.cell_wall_seconds:
            self._interrupt("cell_wall_seconds", wall)
        elif cpu - self._cpu_begun > limits.cell_cpu_seconds:
            self._interrupt("cell_cpu_seconds", wall)

    def _interrupt(self, limit: str, wall: float) -> None:
        self.interrupted = limit
        self._interrupted_at = wall
        self._send(signal.SIGINT)

    def _too_much_memory(self, now: Use) -> bool:
        limit = self.limits.memory_mib * 1024
        if now.memory_kib <= limit:
            return False
        # Pages that forked processes share were counted once for each of them.
        return len(tree(self._pid)) == 1 or shared_out_kib(self._pid) - self._ours > limit

    def _kill(self, limit: str) -> None:
        self.killed = limit
        self._send(signal.SIGKILL)
        self.channel.shutdown(socket.SHUT_RDWR)

    def _send(self, number: signal.Signals) -> None:
        signal.pidfd_send_signal(self.pidfd, number)
