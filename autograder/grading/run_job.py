"""Does a job, in any process on any machine: student code in the sandbox, tests outside of it."""

import os
import time
from functools import cache
from pathlib import Path

import torch

from autograder.checks.static_analysis import StudentSource, harmless, own_functions, tampering
from autograder.course import secret
from autograder.grading.examiner import Examined, ExaminerError, examine
from autograder.grading.job import EXAMINER_ERROR, Cell, Finding, Job, Output, Result, State
from autograder.sandbox.box import SandboxError
from autograder.sandbox.limits import Limits, Spent
from autograder.sandbox.results import CellResult, StudentEnded
from autograder.sandbox.results import State as Ending
from autograder.sandbox.session import Sandbox

STATES = {
    Ending.FAILED: State.NOT_RUNNABLE,
    Ending.OUT_OF_TIME: State.OUT_OF_TIME,
    Ending.OUT_OF_MEMORY: State.OUT_OF_MEMORY,
    Ending.CRASHED: State.CRASHED,
    Ending.PROTOCOL_ERROR: State.CRASHED,
    Ending.KILLED: State.EXAMINER_ERROR,
}
LOOK = "Nothing is marked; a person will look at it."


def work(job: Job) -> Result:
    """Run a notebook's cells in the sandbox and its tests here.

    Raises:
        SandboxError: student code cannot be isolated here.
    """
    os.environ[secret.VARIABLE] = job.secret
    torch.set_num_threads(1)  # the workers share the machine, and the maps are small
    begun = time.monotonic()
    try:
        result = _Run(job, _box(job.limits, job.walls, *secret.to_hide())).result()
    except SandboxError:
        # The warm process may have been killed, by whomever; a new one can tell.
        _box(job.limits, job.walls, *secret.to_hide()).close()
        _box.cache_clear()
        result = _Run(job, _box(job.limits, job.walls, *secret.to_hide())).result()
    return Result(result.outputs, result.findings, time.monotonic() - begun)


class _Run:
    """A student process, and a fresh one after each that died; together they keep the limits."""

    def __init__(self, job: Job, box: Sandbox) -> None:
        self.job, self.box = job, box
        self.spent = Spent()
        self.files = harmless(job.files)
        self.student = box.start(self.files, self.spent)
        #: Cells that a fresh process runs first.
        self.done: list[str] = []
        #: The answers since the last test cell, and how they ran.
        self.answers: list[tuple[Cell, CellResult]] = []
        #: Why a cell could not be run, by no fault of its own.
        self.killed = ""
        #: The functions that the cells defined.
        self.own: set[str] = set()

    def result(self) -> Result:
        outputs, findings = [], {}
        try:
            for count, cell in enumerate(self.job.cells, start=1):
                if cell.exercise:
                    shown, findings[cell.exercise] = self._test(cell, count)
                    self.answers = []
                    if self.student.knows_answers and count < len(self.job.cells):
                        self._start_again()
                else:
                    shown = self._cell(cell)
                outputs.append(shown)
        finally:
            self.student.close()
        return Result(outputs, findings)

    def _cell(self, cell: Cell) -> list[Output]:
        if what := tampering(cell.source, self.own):
            return self._refused(cell, what)
        self.own |= own_functions(cell.source)
        result = self.student.run_cell(cell.source)
        if result.state is Ending.KILLED:
            self._start_again()
            result = self.student.run_cell(cell.source)
            if result.state is Ending.KILLED:
                self.killed = result.sentence
        if cell.answers:
            self.answers.append((cell, result))
        if _may_run_again(result):
            self.done.append(cell.source)
        if not result.alive:
            self._start_again()
        error = [_error(result.state, result.sentence)] if result.sentence else []
        return [*result.outputs, *error]

    def _refused(self, cell: Cell, what: str) -> list[Output]:
        sentence = f"no answer needs {what}, by which it could reach its tests. It is not run."
        outputs = [_error("Refused", sentence)]
        if cell.answers:
            self.answers.append((cell, CellResult(outputs, Ending.FAILED, 0.0)))
        return outputs

    def _test(self, cell: Cell, count: int) -> tuple[list[Output], Finding]:
        seed = secret.seed_of(cell.exercise)
        try:
            before, examined = self._examined(cell, count)
        except StudentEnded as end:
            self._start_again()
            if end.state is Ending.KILLED:
                return _left_to_a_person(f"{end.sentence} {LOOK}", seed)
            finding = Finding(STATES[end.state], 0.0, end.sentence, seed)
            return _marked(f"- {end.sentence}\n", 0.0, count), finding
        except ExaminerError as error:
            return _left_to_a_person(
                f"The test failed by its own fault ({error}); a person will look at it.", seed
            )
        state, sentence = State.GRADED, ""
        if not examined.marks:
            state, sentence = self._why_nothing(self.student.failures[before:])
        if state is State.EXAMINER_ERROR:
            return _left_to_a_person(f"{sentence} {LOOK}", seed)
        text = examined.text
        if sentence and sentence not in text:
            text += f"- {sentence}\n"
        return _marked(text, examined.marks, count), Finding(state, examined.marks, sentence, seed)

    def _examined(self, cell: Cell, count: int) -> tuple[int, Examined]:
        """How many failures there were before a test, and what it found; twice if it was killed."""
        written = StudentSource(one.source for one in self.job.cells[:count] if not one.exercise)
        try:
            return len(self.student.failures), examine(cell.source, self.student, written)
        except StudentEnded as end:
            if end.state is not Ending.KILLED:
                raise
        self._start_again()
        return len(self.student.failures), examine(cell.source, self.student, written)

    def _why_nothing(self, failures: list[tuple[Ending, str]]) -> tuple[State, str]:
        """The state of an exercise that earns nothing, and the sentence for the student."""
        for cell, result in self.answers:
            if result.state is not Ending.OK and not cell.untouched:
                failed = result.state is Ending.FAILED
                return STATES[result.state], _last_error(result) if failed else result.sentence
        if self.answers and all(cell.untouched for cell, _ in self.answers):
            return State.MISSING, "It is not answered."
        if self.killed:
            return State.EXAMINER_ERROR, self.killed
        for ending, sentence in failures:
            state = State.FAILED if ending is Ending.FAILED else STATES[ending]
            return state, sentence
        return State.GRADED, ""

    def _start_again(self) -> None:
        """A process in which the cells ran that did no harm; none where the limits are used up."""
        while not (self.student.ended and self.student.ended.is_spent):
            self.student.close()
            self.student = self.box.start(self.files, self.spent)
            for at, source in enumerate(self.done):
                result = self.student.run_cell(source)
                if result.state is Ending.KILLED:
                    self.killed = result.sentence
                if not _may_run_again(result):
                    del self.done[at]
                    break
            else:
                return


def _may_run_again(result: CellResult) -> bool:
    """Whether a cell may be replayed in a fresh process: none that a limit stopped."""
    return result.alive and result.state in (Ending.OK, Ending.FAILED)


@cache
def _box(limits: Limits, walls: bool, *hidden: Path) -> Sandbox:
    """One warm process for all that this process grades; it ends with this process."""
    return Sandbox(limits, hidden=hidden, walls=walls)


def _left_to_a_person(sentence: str, seed: int) -> tuple[list[Output], Finding]:
    """An exercise that nobody is marked by."""
    finding = Finding(State.EXAMINER_ERROR, None, sentence, seed)
    return [_error(EXAMINER_ERROR, sentence)], finding


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
    # A state is text, but its class comes with PyTorch, which the driver does without.
    return {"output_type": "error", "ename": str(name), "evalue": sentence, "traceback": [sentence]}
