"""Does a job, in any process on any machine: student code in the sandbox, tests outside of it."""

import os
import time
from functools import cache

import torch

from autograder import secret
from autograder.examiner import ExaminerError, examine
from autograder.job import EXAMINER_ERROR, Cell, Finding, Job, Output, Result, State
from autograder.sandbox.box import SandboxError
from autograder.sandbox.limits import Limits
from autograder.sandbox.results import CellResult, StudentEnded
from autograder.sandbox.results import State as Ending
from autograder.sandbox.session import Sandbox

STATES = {
    Ending.FAILED: State.NOT_RUNNABLE,
    Ending.OUT_OF_TIME: State.OUT_OF_TIME,
    Ending.OUT_OF_MEMORY: State.OUT_OF_MEMORY,
    Ending.CRASHED: State.CRASHED,
    Ending.PROTOCOL_ERROR: State.CRASHED,
}


def work(job: Job) -> Result:
    """Run a notebook's cells in the sandbox and its tests here.

    Raises:
        SandboxError: student code cannot be isolated here.
    """
    os.environ[secret.VARIABLE] = job.secret
    torch.set_num_threads(1)  # the workers share the machine, and the maps are small
    begun = time.monotonic()
    try:
        result = _Run(job, _box(job.limits, job.walls)).result()
    except SandboxError:
        # The warm process may have been killed, by whomever; a new one can tell.
        _box(job.limits, job.walls).close()
        _box.cache_clear()
        result = _Run(job, _box(job.limits, job.walls)).result()
    return Result(result.outputs, result.findings, time.monotonic() - begun)


class _Run:
    """A student process, and a fresh one after each that died."""

    def __init__(self, job: Job, box: Sandbox) -> None:
        self.job, self.box = job, box
        self.student = box.start(job.files)
        self.done: list[str] = []
        #: The answers since the last test cell, and how they ran.
        self.answers: list[tuple[Cell, CellResult]] = []

    def result(self) -> Result:
        outputs, findings = [], {}
        try:
            for count, cell in enumerate(self.job.cells, start=1):
                if cell.exercise:
                    shown, findings[cell.exercise] = self._test(cell, count)
                    self.answers = []
                else:
                    shown = self._cell(cell)
                outputs.append(shown)
        finally:
            self.student.close()
        return Result(outputs, findings)

    def _cell(self, cell: Cell) -> list[Output]:
        result = self.student.run_cell(cell.source)
        if cell.answers:
            self.answers.append((cell, result))
        if result.alive:
            self.done.append(cell.source)
        else:
            self._start_again()
        error = [_error(result.state, result.sentence)] if result.sentence else []
        return [*result.outputs, *error]

    def _test(self, cell: Cell, count: int) -> tuple[list[Output], Finding]:
        seed = secret.seed_of(cell.exercise)
        before = len(self.student.failures)
        try:
            examined = examine(cell.source, self.student)
        except StudentEnded as end:
            self._start_again()
            finding = Finding(STATES[end.state], 0.0, end.sentence, seed)
            return _marked(f"- {end.sentence}\n", 0.0, count), finding
        except ExaminerError as error:
            sentence = f"The test failed by its own fault ({error}); a person will look at it."
            finding = Finding(State.EXAMINER_ERROR, None, sentence, seed)
            return [_error(EXAMINER_ERROR, sentence)], finding
        state, sentence = State.GRADED, ""
        if not examined.marks:
            state, sentence = self._why_nothing(self.student.failures[before:])
        text = examined.text
        if sentence and sentence not in text:
            text += f"- {sentence}\n"
        return _marked(text, examined.marks, count), Finding(state, examined.marks, sentence, seed)

    def _why_nothing(self, failures: list[tuple[Ending, str]]) -> tuple[State, str]:
        """The state of an exercise that earns nothing, and the sentence for the student."""
        for cell, result in self.answers:
            if result.state is not Ending.OK and not cell.untouched:
                return STATES[result.state], result.sentence or _last_error(result)
        if self.answers and all(cell.untouched for cell, _ in self.answers):
            return State.MISSING, "It is not answered."
        for ending, sentence in failures:
            state = State.FAILED if ending is Ending.FAILED else STATES[ending]
            return state, sentence
        return State.GRADED, ""

    def _start_again(self) -> None:
        """A process in which the cells ran that did no harm."""
        self.student.close()
        self.student = self.box.start(self.job.files)
        for source in self.done:
            if not self.student.run_cell(source).alive:
                return


@cache
def _box(limits: Limits, walls: bool) -> Sandbox:
    """One warm process for all that this process grades; it ends with this process."""
    return Sandbox(limits, walls=walls)


def _last_error(result: CellResult) -> str:
    for output in reversed(result.outputs):
        if output["output_type"] == "error":
            return f"The cell stops with {output['ename']}: {output['evalue']}".splitlines()[0]
    return "The cell stops with an error."


def _marked(text: str, marks: float, count: int) -> list[Output]:
    """The outputs by which nbgrader reads the marks of a test cell."""
    said = [{"output_type": "stream", "name": "stdout", "text": text}] if text else []
    shown = {
        "output_type": "execute_result",
        "data": {"text/plain": repr(marks)},
        "metadata": {},
        "execution_count": count,
    }
    return [*said, shown]


def _error(name: str, sentence: str) -> Output:
    return {"output_type": "error", "ename": name, "evalue": sentence, "traceback": [sentence]}
