"""How a cell or a student process ends, and the sentences for the student."""

from dataclasses import dataclass
from enum import StrEnum

from autograder.sandbox.limits import Limits
from autograder.sandbox.outputs import Output

SENTENCES = {
    "cell_cpu_seconds": "It used more than {:g} seconds of processor time, the limit of a cell.",
    "cell_wall_seconds": "It took more than {:g} seconds, the limit of a cell.",
    "notebook_cpu_seconds": "The notebook used more than {:g} seconds of processor time.",
    "notebook_wall_seconds": "The notebook took more than {:g} seconds.",
    "memory_mib": "It needed more than {:g} MiB of memory.",
    "output_kib": "It printed or showed more than {:g} KiB; the rest is cut off.",
    "notebook_output_mib": (
        "The notebook printed or showed more than {:g} MiB; the rest is cut off."
    ),
}


class Ending(StrEnum):
    """How a cell or a student process ended."""

    OK = "ok"
    FAILED = "failed"
    OUT_OF_TIME = "out of time"
    OUT_OF_MEMORY = "out of memory"
    CRASHED = "crashed"
    PROTOCOL_ERROR = "protocol error"
    #: Killed, but not for a limit, so not through a fault of the student that we know of.
    KILLED = "killed"


class StudentEnded(Exception):  # noqa: N818
    """The student process has ended; a new one can run the cells again.

    Args:
        state: how it ended.
        sentence: the sentence for the student, which names the limit that was passed, if any.
        is_spent: whether a limit of the whole notebook was passed; then no new process is started.
    """

    def __init__(self, state: Ending, sentence: str, *, is_spent: bool = False) -> None:
        super().__init__(sentence)
        self.state = state
        self.sentence = sentence
        self.is_spent = is_spent


@dataclass(frozen=True)
class CellResult:
    """The outputs of a cell and how it ended.

    Args:
        outputs: its outputs, in nbformat's form.
        state: how it ended.
        seconds: elapsed time, in seconds.
        sentence: a sentence for the student about a limit or a crash; "" if there was none.
        alive: whether later cells can still run in this process.
    """

    outputs: list[Output]
    state: Ending
    seconds: float
    sentence: str = ""
    alive: bool = True


def sentence_for(limit: str, limits: Limits) -> str:
    """The sentence for the student about a limit that was passed, by its name in `Limits`."""
    return SENTENCES[limit].format(getattr(limits, limit))
