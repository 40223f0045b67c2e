"""Runs a job, in any process on any machine: student code in the sandbox, tests in this process."""

import os
import time
from functools import cache
from pathlib import Path

import torch

from autograder.checks.static_analysis import StudentSource, harmless, own_functions, tampering
from autograder.course import secret
from autograder.grading.examiner import Examination, ExaminerError, examine
from autograder.grading.job import (
    EXAMINER_ERROR,
    Cell,
    ExerciseResult,
    Job,
    NotebookResult,
    Output,
    State,
)
from autograder.sandbox.box import SandboxError
from autograder.sandbox.limits import Limits, Spent
from autograder.sandbox.results import CellResult, Ending, StudentEnded
from autograder.sandbox.session import Sandbox

STATES = {
    Ending.FAILED: State.NOT_RUNNABLE,
    Ending.OUT_OF_TIME: State.OUT_OF_TIME,
    Ending.OUT_OF_MEMORY: State.OUT_OF_MEMORY,
    Ending.CRASHED: State.CRASHED,
    Ending.PROTOCOL_ERROR: State.CRASHED,
    Ending.KILLED: State.EXAMINER_ERROR,
}
NOT_MARKED = "Nothing is marked; a person will look at it."


def run_job(job: Job) -> NotebookResult:
    """Run a notebook's cells in the sandbox and its tests here.

    Raises:
        SandboxError: student code cannot be isolated on this machine.
        CourseError: the files next to the notebook do not fit into the sandbox.
    """
    os.environ[secret.VARIABLE] = job.secret
    torch.set_num_threads(1)  # the workers share the machine, and the maps are small
    begun = time.monotonic()
    try:
        result = _NotebookRun(job, _sandbox_for(job)).result()
    except SandboxError:
        # Its fork server may have been killed from outside. Try once more with a fresh one.
        _sandbox_for(job).close()
        _sandbox.cache_clear()
        result = _NotebookRun(job, _sandbox_for(job)).result()
    return NotebookResult(result.outputs, result.exercises, time.monotonic() - begun)


class _NotebookRun:
    """Runs the cells of a notebook one after another, and marks its exercises."""

    def __init__(self, job: Job, sandbox: Sandbox) -> None:
        self.cells = job.cells
        self.student = _RestartingStudent(sandbox, harmless(job.files))
        #: The functions that the cells have defined.
        self.functions: set[str] = set()
        #: The answer cells since the last test cell, and how they ran.
        self.answers: list[tuple[Cell, CellResult]] = []

    def result(self) -> NotebookResult:
        outputs, exercises = [], {}
        try:
            for count, cell in enumerate(self.cells, start=1):
                if cell.exercise:
                    shown, exercises[cell.exercise] = self._mark(cell, count)
                    self.answers = []
                    if self.student.knows_answers and count < len(self.cells):
                        self.student.restart()
                else:
                    shown = self._run(cell)
                outputs.append(shown)
        finally:
            self.student.close()
        return NotebookResult(outputs, exercises)

    def _run(self, cell: Cell) -> list[Output]:
        """Run a cell in the student process, unless it reaches for what decides its marks."""
        if what := tampering(cell.source, self.functions):
            sentence = f"no answer needs {what}, which could reach the tests. The cell was not run."
            result = CellResult([_error("Refused", sentence)], Ending.FAILED, 0.0)
        else:
            self.functions |= own_functions(cell.source)
            result = self.student.run_cell(cell.source)
        if cell.answers:
            self.answers.append((cell, result))
        error = [_error(result.state, result.sentence)] if result.sentence else []
        return [*result.outputs, *error]

    def _mark(self, cell: Cell, count: int) -> tuple[list[Output], ExerciseResult]:
        """Run the test cell of an exercise: what the cell shows, and the result."""
        seed = secret.seed_of(cell.exercise)
        written = StudentSource(one.source for one in self.cells[:count] if not one.exercise)
        try:
            found, failures = self.student.examine(cell.source, written)
        except StudentEnded as end:
            if end.state is Ending.KILLED:
                return _left_to_a_person(f"{end.sentence} {NOT_MARKED}", seed)
            result = ExerciseResult(STATES[end.state], 0.0, end.sentence, seed)
            return _marked(f"- {end.sentence}\n", 0.0, count), result
        except ExaminerError as error:
            return _left_to_a_person(
                f"The test itself failed ({error}); a person will look at it.", seed
            )
        state, sentence = State.GRADED, ""
        if not found.marks:
            state, sentence = self._why_no_marks(failures)
        if state is State.EXAMINER_ERROR:
            return _left_to_a_person(f"{sentence} {NOT_MARKED}", seed)
        text = found.text
        if sentence and sentence not in text:
            text += f"- {sentence}\n"
        return _marked(text, found.marks, count), ExerciseResult(state, found.marks, sentence, seed)

    def _why_no_marks(self, failures: list[tuple[Ending, str]]) -> tuple[State, str]:
        """The state of an exercise that earns nothing, and the sentence for the student."""
        for cell, result in self.answers:
            if result.state is not Ending.OK and not cell.untouched:
                failed = result.state is Ending.FAILED
                return STATES[result.state], _last_error(result) if failed else result.sentence
        if self.answers and all(cell.untouched for cell, _ in self.answers):
            return State.MISSING, "It is not answered."
        if self.student.killed:
            return State.EXAMINER_ERROR, self.student.killed
        if failures:
            ending, sentence = failures[0]
            return State.FAILED if ending is Ending.FAILED else STATES[ending], sentence
        return State.GRADED, ""


class _RestartingStudent:
    """The student process of a notebook, and a fresh one whenever it has ended.

    Cells that ran to their end run again in the fresh process. All processes of a notebook share
    its limits. Whatever was killed from outside is tried once more.
    """

    def __init__(self, sandbox: Sandbox, files: dict[str, bytes]) -> None:
        self._sandbox, self._files, self._spent = sandbox, files, Spent()
        self._process = sandbox.start(files, self._spent)
        #: The cells that a fresh process runs first.
        self._to_replay: list[str] = []
        #: Why a cell could not be run although it did nothing wrong; "" if there is none.
        self.killed = ""

    @property
    def knows_answers(self) -> bool:
        """Whether the process was sent right answers, which later cells must not find there."""
        return self._process.knows_answers

    def run_cell(self, source: str) -> CellResult:
        """Run a cell. After it, a process is there for the next one."""
        result = self._process.run_cell(source)
        if result.state is Ending.KILLED:
            self.restart()
            result = self._process.run_cell(source)
            if result.state is Ending.KILLED:
                self.killed = result.sentence
        if _may_run_again(result):
            self._to_replay.append(source)
        if not result.alive:
            self.restart()
        return result

    def examine(
        self, source: str, written: StudentSource
    ) -> tuple[Examination, list[tuple[Ending, str]]]:
        """Run a test cell here: what it found, and how the student's code failed during it.

        Raises:
            StudentEnded: the student process ended during the test; there is a fresh one.
            ExaminerError: the test itself failed.
        """
        try:
            return self._examine(source, written)
        except StudentEnded as end:
            if end.state is not Ending.KILLED:
                raise
        return self._examine(source, written)

    def _examine(
        self, source: str, written: StudentSource
    ) -> tuple[Examination, list[tuple[Ending, str]]]:
        before = len(self._process.failures)
        try:
            found = examine(source, self._process, written)
        except StudentEnded:
            self.restart()
            raise
        return found, self._process.failures[before:]

    def restart(self) -> None:
        """Start a fresh process and run the cells again, unless the notebook's limits are spent."""
        while not (self._process.ended and self._process.ended.is_spent):
            self._process.close()
            self._process = self._sandbox.start(self._files, self._spent)
            for at, source in enumerate(self._to_replay):
                result = self._process.run_cell(source)
                if result.state is Ending.KILLED:
                    self.killed = result.sentence
                if not _may_run_again(result):
                    del self._to_replay[at]
                    break
            else:
                return

    def close(self) -> None:
        self._process.close()


def _may_run_again(result: CellResult) -> bool:
    """Whether a fresh process may run the cell again; not if a limit stopped it."""
    return result.alive and result.state in (Ending.OK, Ending.FAILED)


def _sandbox_for(job: Job) -> Sandbox:
    return _sandbox(job.limits, job.sandbox, *secret.to_hide())


@cache
def _sandbox(limits: Limits, isolated: bool, *hidden: Path) -> Sandbox:
    """A sandbox whose fork server serves all jobs of this process, and ends with it."""
    return Sandbox(limits, hidden=hidden, isolated=isolated)


def _left_to_a_person(sentence: str, seed: int) -> tuple[list[Output], ExerciseResult]:
    """The output and the result of an exercise that a person must mark."""
    result = ExerciseResult(State.EXAMINER_ERROR, None, sentence, seed)
    return [_error(EXAMINER_ERROR, sentence)], result


def _last_error(result: CellResult) -> str:
    for output in reversed(result.outputs):
        if output["output_type"] == "error":
            return f"The cell stops with {output['ename']}: {output['evalue']}".splitlines()[0]
    return "The cell stops with an error."


def _marked(text: str, marks: float, count: int) -> list[Output]:
    """The outputs of a test cell, from which nbgrader reads the marks."""
    printed = [{"output_type": "stream", "name": "stdout", "text": text}] if text else []
    shown = {
        "output_type": "execute_result",
        "data": {"text/plain": repr(marks)},
        "metadata": {},
        "execution_count": count,
    }
    return [*printed, shown]


def _error(name: str, sentence: str) -> Output:
    # `str` makes plain text of an `Ending`, whose class the driver could not load without PyTorch.
    return {"output_type": "error", "ename": str(name), "evalue": sentence, "traceback": [sentence]}
