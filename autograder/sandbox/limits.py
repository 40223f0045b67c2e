"""What a submission may use, and where its files lie in the sandbox."""

from dataclasses import dataclass, fields
from pathlib import Path

# A folder at the root of the sandbox, so that no installation of Python lies in it. It holds all
# that a submission may write: its folder `work`, its /tmp and its /dev/shm.
SCRATCH = Path("/student")


@dataclass(frozen=True)
class Limits:
    """What a submission may use.

    Args:
        cell_cpu_seconds: processor time of a cell or a question, summed over its processes.
        cell_wall_seconds: elapsed time of a cell or a question.
        notebook_cpu_seconds: processor time of all cells and questions.
        notebook_wall_seconds: elapsed time of all cells and questions.
        memory_mib: memory of all its processes (MiB), beyond what PyTorch itself takes.
        processes: processes and threads that exist at the same time.
        disk_mib: size of all its files (MiB), which are kept in memory too.
        output_kib: output of a cell (KiB); the rest is cut off.
        notebook_output_mib: output of all cells (MiB); the rest is cut off.
        reply_mib: the longest reply to a question (MiB).

    Raises:
        ValueError: a limit is not a positive number.
    """

    cell_cpu_seconds: float = 60
    cell_wall_seconds: float = 120
    notebook_cpu_seconds: float = 600
    notebook_wall_seconds: float = 900
    memory_mib: int = 2048
    processes: int = 64
    disk_mib: int = 256
    output_kib: int = 512
    notebook_output_mib: int = 16
    reply_mib: int = 64

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
                raise ValueError(f"The limit {field.name} must be a number above 0, not {value!r}.")


@dataclass
class Spent:
    """What a notebook has used of its limits so far, in all its processes.

    Args:
        cpu_seconds: processor time of the processes that have ended.
        wall_seconds: elapsed time of cells and questions.
        output: characters of output.
    """

    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    output: int = 0
