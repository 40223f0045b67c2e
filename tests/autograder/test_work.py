"""Every way in which an exercise can end, with a real student process."""

import pytest

from autograder.job import Cell, Job, State
from autograder.sandbox.limits import Limits
from autograder.work import work

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("isolated"),
    pytest.mark.usefixtures("isolation"),
]

LIMITS = Limits(cell_cpu_seconds=2, cell_wall_seconds=4, memory_mib=400)
RIGHT = "def global_average_pool(x):\n    return x.mean((2, 3))"
INSIDE = "def global_average_pool(x):\n    import os\n    "
TEST = (
    "from autograder.checks import check\n"
    'check("global_average_pool", global_average_pool).report()'
)


def ended(answer, *, untouched=False, test=TEST, walls=True):
    """How the exercise ends, and another after it that is right."""
    cells = (
        Cell("import torch"),
        Cell(answer, answers=True, untouched=untouched),
        Cell(test, "global_average_pool"),
        Cell(RIGHT.replace("global_average_pool", "conv1x1_as_matmul"), answers=True),
        Cell(RIGHT, answers=True),
        Cell(TEST, "another"),
    )
    result = work(Job(cells, {}, LIMITS, "secret", walls))
    assert len(result.outputs) == len(cells)
    assert result.findings["another"].state is State.GRADED
    assert result.findings["another"].marks == 2
    return result.findings["global_average_pool"], str(result.outputs[2])


@pytest.mark.parametrize("walls", [True, False], ids=["walled in", "without walls"])
def test_a_right_answer_is_graded(walls):
    finding, _ = ended(RIGHT, walls=walls)
    assert (finding.state, finding.marks, finding.sentence) == (State.GRADED, 2.0, "")


ENDS = {
    "wrong": ("def global_average_pool(x):\n    return x.sum((2, 3))", State.GRADED, ""),
    "raises": (INSIDE + "raise KeyError('x')", State.FAILED, "raised KeyError"),
    "no Python": ("def global_average_pool(x:", State.NOT_RUNNABLE, "SyntaxError"),
    "stops": ("1 / 0\n" + RIGHT, State.NOT_RUNNABLE, "ZeroDivisionError"),
    "loops": (INSIDE + "while True: pass", State.OUT_OF_TIME, "2 seconds of processor time"),
    "sleeps": (INSIDE + "import time; time.sleep(60)", State.OUT_OF_TIME, "more than 4 seconds"),
    "hogs": (
        INSIDE + "return [bytearray(10**8) for _ in range(9)]",
        State.OUT_OF_MEMORY,
        "400 MiB",
    ),
    "exits": (INSIDE + "os._exit(0)", State.CRASHED, "ended"),
    "segfaults": (INSIDE + "import ctypes; ctypes.string_at(0)", State.CRASHED, "crashed"),
    "loops in its cell": ("while True: pass", State.OUT_OF_TIME, "limit of a cell"),
}


@pytest.mark.parametrize(("answer", "state", "sentence"), ENDS.values(), ids=ENDS.keys())
def test_every_end_has_its_state_and_a_sentence_for_the_student(answer, state, sentence):
    finding, shown = ended(answer)
    assert finding.state is state
    assert finding.marks < 2
    assert sentence in finding.sentence
    assert finding.sentence in shown.replace("\\'", "'")


def test_an_answer_as_it_was_handed_out_is_missing():
    finding, shown = ended(
        "def global_average_pool(x):\n    raise NotImplementedError", untouched=True
    )
    assert (finding.state, finding.marks) == (State.MISSING, 0)
    assert "It is not answered." in shown


@pytest.mark.parametrize("test", ["1 / 0", "'full marks'", "x = 2", "import nowhere\n2.0"])
def test_a_test_that_fails_by_its_own_fault_gives_neither_zero_nor_marks(test):
    finding, shown = ended(RIGHT, test=test)
    assert (finding.state, finding.marks) == (State.EXAMINER_ERROR, None)
    assert "execute_result" not in shown
    assert "a person will look at it" in shown
