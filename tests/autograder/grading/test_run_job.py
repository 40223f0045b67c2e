"""Every state in which an exercise can end, with a real student process."""

import json
import pickle
import subprocess
import sys
from dataclasses import replace

import pytest

from autograder.grading.job import EXAMINER_ERROR, Cell, Job, State
from autograder.grading.run_job import run_job
from autograder.sandbox.limits import Limits

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("isolated"),
    pytest.mark.usefixtures("isolation"),
]

LIMITS = Limits(cell_cpu_seconds=2, cell_wall_seconds=10, memory_mib=400)
RIGHT = "def global_average_pool(x):\n    return x.mean((2, 3))"
INSIDE = "def global_average_pool(x):\n    import os\n    "
TEST = (
    "from autograder.checks import check\n"
    'check("global_average_pool", global_average_pool).report()'
)


def results(*cells, sandbox=True, **limits):
    """The result of a notebook with these cells and, after them, an exercise that is right."""
    sources = [cell if isinstance(cell, Cell) else Cell(cell) for cell in cells]
    exercise = (Cell(RIGHT, answers=True), Cell(TEST, "global_average_pool"))
    return run_job(Job((*sources, *exercise), {}, replace(LIMITS, **limits), "secret", sandbox))


def graded(answer, *, untouched=False, test=TEST, sandbox=True):
    """The result and output of an exercise. Another one after it must be graded as right."""
    cells = (
        Cell("import torch"),
        Cell(answer, answers=True, untouched=untouched),
        Cell(test, "global_average_pool"),
        Cell(RIGHT.replace("global_average_pool", "conv1x1_as_matmul"), answers=True),
        Cell(RIGHT, answers=True),
        Cell(TEST, "another"),
    )
    result = run_job(Job(cells, {}, LIMITS, "secret", sandbox))
    assert len(result.outputs) == len(cells)
    assert result.exercises["another"].state is State.GRADED
    assert result.exercises["another"].marks == 2
    return result.exercises["global_average_pool"], str(result.outputs[2])


@pytest.mark.parametrize("sandbox", [True, False], ids=["in the sandbox", "trusted"])
def test_a_right_answer_is_graded(sandbox):
    found, _ = graded(RIGHT, sandbox=sandbox)
    assert (found.state, found.marks, found.sentence) == (State.GRADED, 2.0, "")


ENDS = {
    "wrong": ("def global_average_pool(x):\n    return x.sum((2, 3))", State.GRADED, ""),
    "raises": (INSIDE + "raise KeyError('x')", State.FAILED, "raised KeyError"),
    "is not Python": ("def global_average_pool(x:", State.NOT_RUNNABLE, "SyntaxError"),
    "stops": ("1 / 0\n" + RIGHT, State.NOT_RUNNABLE, "ZeroDivisionError"),
    "loops": (INSIDE + "while True: pass", State.OUT_OF_TIME, "2 seconds of processor time"),
    "sleeps": (INSIDE + "import time; time.sleep(60)", State.OUT_OF_TIME, "more than 10 seconds"),
    "hogs": (
        INSIDE + "return [bytearray(10**8) for _ in range(9)]",
        State.OUT_OF_MEMORY,
        "400 MiB",
    ),
    "exits": (INSIDE + "os._exit(0)", State.CRASHED, "ended"),
    "segfaults": (
        INSIDE + "import faulthandler; faulthandler._read_null()",
        State.CRASHED,
        "crashed",
    ),
    "loops in its cell": ("while True: pass", State.OUT_OF_TIME, "limit of a cell"),
}


@pytest.mark.parametrize(("answer", "state", "sentence"), ENDS.values(), ids=ENDS.keys())
def test_each_end_has_its_state_and_a_sentence_for_the_student(answer, state, sentence):
    found, shown = graded(answer)
    assert found.state is state
    assert found.marks < 2
    assert sentence in found.sentence
    assert found.sentence in shown.replace("\\'", "'")


def test_an_untouched_answer_is_missing():
    found, shown = graded(
        "def global_average_pool(x):\n    raise NotImplementedError", untouched=True
    )
    assert (found.state, found.marks) == (State.MISSING, 0)
    assert "It is not answered." in shown


@pytest.mark.parametrize("test", ["1 / 0", "'full marks'", "x = 2", "import nowhere\n2.0"])
def test_a_test_that_itself_fails_leaves_the_exercise_to_a_person(test):
    found, shown = graded(RIGHT, test=test)
    assert (found.state, found.marks) == (State.EXAMINER_ERROR, None)
    assert "execute_result" not in shown
    assert "a person will look at it" in shown


def test_the_limits_of_a_notebook_hold_over_all_its_processes():
    crash = "import os, time\ntime.sleep(0.6)\nos._exit(0)"
    result = results(*[crash] * 50, notebook_wall_seconds=2)
    assert 0 < str(result.outputs).count("ended its own process") < 8  # each twice
    found = result.exercises["global_average_pool"]
    assert (found.state, found.marks) == (State.OUT_OF_TIME, 0)
    assert found.sentence == "The notebook took more than 2 seconds."
    assert "more than 2 seconds" in str(result.outputs[-3])


def test_processor_time_adds_up_too():
    crash = "import os\nsum(range(2 * 10**7))\nos._exit(0)"
    result = results(*[crash] * 50, notebook_cpu_seconds=1)
    assert result.exercises["global_average_pool"].sentence.startswith(
        "The notebook used more than"
    )


def test_a_cell_that_a_limit_stopped_is_not_replayed():
    sleep, crash = "import time; time.sleep(60)", "import os; os._exit(0)"
    result = results(sleep, *[crash] * 5, cell_wall_seconds=1, notebook_wall_seconds=4)
    assert result.exercises["global_average_pool"].marks == 2


def test_cells_that_ran_to_their_end_are_replayed():
    result = results("x = 2", "1 / 0", "import os; os._exit(0)", "print('x', x)")
    assert "x 2" in str(result.outputs[3])


def test_the_output_of_a_notebook_has_a_limit():
    loud = "print('x' * 500_000)"
    result = results(*[loud] * 50, "1 / 0", notebook_output_mib=2)
    assert len(json.dumps(result.outputs)) < 2.2 * 2**20
    assert "more than 2 MiB; the rest is cut off" in str(result.outputs[10])
    assert "ZeroDivisionError" in str(result.outputs[50])
    assert result.exercises["global_average_pool"].marks == 2


KILL = "import os; os.kill(os.getpid(), 9)"


@pytest.mark.parametrize("answer", [KILL, INSIDE + KILL], ids=["a cell", "a test"])
def test_an_answer_that_is_killed_twice_from_outside_is_left_to_a_person(answer):
    result = results(Cell(answer, answers=True), Cell(TEST, "killed"), sandbox=False)
    found = result.exercises["killed"]
    assert (found.state, found.marks) == (State.EXAMINER_ERROR, None)
    assert "was killed from outside" in found.sentence
    assert result.outputs[1][-1]["ename"] == EXAMINER_ERROR
    assert result.exercises["global_average_pool"].marks == 2


def test_an_answer_that_misses_a_killed_cell_is_left_to_a_person():
    cells = [KILL, Cell("x = 1", answers=True), Cell(TEST, "without help")]
    assert results(*cells, sandbox=False).exercises["without help"].state is State.EXAMINER_ERROR


@pytest.mark.parametrize("first", ["", INSIDE], ids=["a cell", "a test"])
def test_an_answer_that_is_killed_once_from_outside_is_graded(tmp_path, first):
    seen = tmp_path / "seen"
    once = f"import os, pathlib; seen = pathlib.Path({str(seen)!r})"
    once += "; seen.exists() or (seen.touch(), os.kill(os.getpid(), 9))"
    answer = f"{first}{once}\n    return x.mean((2, 3))" if first else f"{once}\n{RIGHT}"
    result = results(Cell(answer, answers=True), Cell(TEST, "killed"), sandbox=False)
    assert [found.marks for found in result.exercises.values()] == [2, 2]
    assert seen.exists()


def test_a_result_is_read_without_pytorch():
    """The driver reads results without running notebooks."""
    result = results("import os\nos._exit(0)", "1 / 0")
    assert [output["ename"] for [output, *_] in result.outputs[:2]] == [
        "crashed",
        "ZeroDivisionError",
    ]
    code = "import pickle, sys\npickle.load(sys.stdin.buffer)\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], input=pickle.dumps(result), check=True)
