"""What a submission may use."""

from dataclasses import dataclass, fields
from pathlib import Path

# Where each submission has its files in the sandbox; `disk_mib` is its size.
SCRATCH = Path("/tmp")


@dataclass(frozen=True)
class Limits:
    """What a submission may use; each limit is a positive number.

    Args:
        cell_cpu_seconds: processor time of a cell or a question, all its processes together.
        cell_wall_seconds: time on the clock of a cell or a question.
        notebook_cpu_seconds: processor time of all cells and questions.
        notebook_wall_seconds: time on the clock in which the submission was at work.
        memory_mib: memory of all its processes, above what PyTorch itself takes.
        processes: processes and threads at one time.
        disk_mib: files in its scratch folder, which lives in memory too.
        output_kib: what a cell may print and show; the rest is cut off.
        notebook_output_mib: what all cells may print and show; the rest is cut off.
        reply_mib: the longest answer.
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
        cpu_seconds: of processes that have ended.
        wall_seconds: in which cells ran and questions were answered.
        output: characters that were shown.
    """

    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    output: int = 0
