"""How a cell or a student process ends, and the sentence for the student."""

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
    """How a cell or a submission's process ended."""

    OK = "ok"
    FAILED = "failed"
    OUT_OF_TIME = "out of time"
    OUT_OF_MEMORY = "out of memory"
    CRASHED = "crashed"
    PROTOCOL_ERROR = "protocol error"
    #: Killed, and by no limit: no fault that we know of.
    KILLED = "killed"


class StudentEnded(Exception):  # noqa: N818
    """The student process is gone; a fresh one can run the cells again.

    Args:
        state: why.
        sentence: for the student, with the limit that was passed.
        is_spent: whether a limit of the notebook was passed, and no fresh process helps.
    """

    def __init__(self, state: Ending, sentence: str, *, is_spent: bool = False) -> None:
        super().__init__(sentence)
        self.state = state
        self.sentence = sentence
        self.is_spent = is_spent


@dataclass(frozen=True)
class CellResult:
    """What a cell showed and how it ended.

    Args:
        outputs: in nbformat's form.
        state: how it ended.
        seconds: that it took, on the clock.
        sentence: what the student should know; "" if all is well.
        alive: whether later cells can still run in this process.
    """

    outputs: list[Output]
    state: Ending
    seconds: float
    sentence: str = ""
    alive: bool = True


def sentence_for(limit: str, limits: Limits) -> str:
    """What to say about a limit that was passed, by its name in `Limits`."""
    return SENTENCES[limit].format(getattr(limits, limit))
