"""Watches what a student process and all its descendants use, from outside, and ends them."""

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from autograder.sandbox.limits import Limits, Spent

PROC = Path("/proc")
TICK = os.sysconf("SC_CLK_TCK")
INTERVAL = 0.05  # seconds
# From the stop button to the kill; a cell that heeds the button leaves the rest of the notebook.
GRACE = 0.5  # seconds


class Use(NamedTuple):
    """What a tree of processes uses."""

    cpu_seconds: float
    memory_kib: int


def host_pid(pidfd: int) -> int:
    """The number that a process has here; -1 once it has ended."""
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    raise OSError("This kernel's pidfds do not name their process; it must be Linux 5.4 or newer.")


def tree(pid: int) -> list[int]:
    """A process and its descendants; orphans are children of the namespace's first process."""
    found = [pid]
    for parent in found:
        with suppress(OSError):
            for task in (PROC / str(parent) / "task").iterdir():
                with suppress(OSError):
                    found += map(int, (task / "children").read_text().split())
    return found


def use(pid: int, ours_kib: int = 0) -> Use:
    """What a process and its descendants use.

    Args:
        pid: the first of them.
        ours_kib: memory that each shares with the warm process since its fork.
    """
    cpu, memory = 0.0, 0
    for number in tree(pid):
        with suppress(OSError):
            fields = (PROC / str(number) / "stat").read_text().rpartition(")")[2].split()
            # utime, stime, and those of children that were waited for
            cpu += sum(map(int, fields[11:15])) / TICK
            memory += max(0, _memory_kib(number) - ours_kib)
    return Use(cpu, memory)


def _memory_kib(pid: int) -> int:
    lines = (PROC / str(pid) / "status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssShmem")))


def shared_out_kib(pid: int) -> int:
    """Memory of a tree in which pages that several processes share count once; slower."""
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
    """Ends a student process that passes a limit, and remembers which.

    Args:
        pidfd: of the first process of the submission's process namespace.
        limits: what it may use.
        spent: of the notebook's limits, by this process and those before it.
    """

    def __init__(self, pidfd: int, limits: Limits, spent: Spent) -> None:
        super().__init__(daemon=True, name="watch of a student process")
        self.pidfd = pidfd
        self.limits = limits
        self.spent = spent
        #: The limit for which the process was ended, "" as long as it lives.
        self.killed = ""
        #: The limit for which the running cell was told to stop.
        self.interrupted = ""
        #: What the last cell or question took.
        self.seconds = 0.0
        self._pid = host_pid(pidfd)
        self._ours = _memory_kib(self._pid)
        self._begun: float | None = None
        self._grace = self._interrupted_at = 0.0
        #: Processor's time when last looked at, at most an interval ago.
        self._cpu = self._cpu_begun = 0.0
        self._over = threading.Event()
        self._lock = threading.Lock()

    def begin(self, *, heeds_sigint: bool) -> None:
        """A cell, which may heed the stop button, or a question begins."""
        with self._lock:
            self.interrupted = ""
            self._grace = GRACE if heeds_sigint else 0.0
            self._cpu_begun = self._cpu
            self._begun = time.monotonic()

    def end(self) -> float:
        """It has ended; the seconds that it took."""
        with self._lock:
            seconds = time.monotonic() - self._begun if self._begun is not None else 0.0
            self.spent.wall_seconds += seconds
            if self._begun is not None:
                self.seconds = seconds
            self._begun = None
            return seconds

    def stop(self) -> None:
        """Watch no longer; the descriptor may be closed."""
        self._over.set()
        self.join()
        self.end()
        self.spent.cpu_seconds += self._cpu
        self._cpu = 0.0

    def run(self) -> None:
        while not self._over.wait(INTERVAL):
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
        # Pages that forked children share were counted for each of them.
        return len(tree(self._pid)) == 1 or shared_out_kib(self._pid) - self._ours > limit

    def _kill(self, limit: str) -> None:
        self.killed = limit
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        signal.pidfd_send_signal(self.pidfd, number)
