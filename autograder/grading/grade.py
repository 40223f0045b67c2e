"""Grade what was handed in: workers do the notebooks, one process writes the gradebook.

A student's marks come from the records of jobs that are done (`records.py`),
so whatever is killed, the next run goes on where this one stopped.
"""

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from filelock import FileLock, Timeout
from nbgrader.converters import Autograde
from traitlets.config.loader import Config

from autograder.course.folder import CONFIG, Course
from autograder.course.late import LatePenalties
from autograder.course.release import generate
from autograder.course.secret import seed_of
from autograder.errors import CourseError
from autograder.grading.gradebook import MarkBook, Marks, back_up
from autograder.grading.job import ExerciseResult, Job, NotebookResult, State, exercises_from_json
from autograder.grading.nbgrader_steps import IsolatedExecute, SaveMarks, files_of, show
from autograder.grading.records import Records
from autograder.sandbox.box import SandboxError
from autograder.submissions.read import TIMESTAMP, Submission, read
from autograder.submissions.repair import RepairSubmission

if TYPE_CHECKING:
    from autograder.grading.workers import Workers

# Students whose notebooks are with the workers at one time.
AHEAD = 32
Progress = Callable[[int, int, Counter[State]], None]


@dataclass
class Outcome:
    """What came of grading a class.

    Args:
        notebooks: the points of each exercise, by notebook.
        marks: by student.
        problems: for who could not be graded, a sentence that says why.
        remarks: for who could, what an instructor should know.
        results: by student, the result of each exercise with a hidden test.
        unchanged: how many students' marks were in the gradebook already.
    """

    notebooks: dict[str, dict[str, float]]
    marks: dict[str, Marks] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    results: dict[str, dict[str, ExerciseResult]] = field(default_factory=dict)
    unchanged: int = 0

    @property
    def out_of(self) -> dict[str, float]:
        """The points of each exercise, in the order of the notebooks."""
        return {name: points for book in self.notebooks.values() for name, points in book.items()}

    @property
    def states(self) -> Counter[State]:
        """How many exercises ended in each state."""
        return Counter(
            result.state for results in self.results.values() for result in results.values()
        )


def grade(
    course: Course,
    assignment: str,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    sandbox: bool = True,
    again: bool = False,
    progress: Progress = lambda done, of, states: None,
) -> Outcome:
    """Grade everything under submitted/. A submission that fails costs nobody else anything.

    Args:
        jobs: workers on this machine; one for each core if `None`.
        scheduler: address of a Dask cluster that does the work instead.
        sandbox: whether student code is walled in; without, it is trusted.
        again: whether to do again what the records hold.
        progress: is told how many students are done, of how many, and the states so far.

    Raises:
        CourseError: nothing can be graded; the message says why.
    """
    submissions = course.submissions(assignment)
    course.notebooks(assignment)
    if not submissions:
        raise CourseError(
            f"Nothing is handed in: put each hand-in into "
            f"{course.root}/submitted/STUDENT/{assignment}/, then grade again."
        )
    with _only_writer(course):
        run = _Run(course, assignment, sandbox=sandbox, again=again)
        changed = run.changed(submissions)
        first = next(changed, None)
        if first is not None:
            # It takes seconds, which a class without changes need not wait.
            from autograder.grading.workers import workers

            with workers(jobs, scheduler) as pool:
                for _ in run.finished(chain([first], changed), pool):
                    progress(run.done, len(submissions), run.outcome.states)
    return run.sorted(submissions)


@dataclass
class _Student:
    """A student whose notebooks are to be graded, or being graded."""

    name: str
    folder: Path
    hand_in: Submission
    jobs: dict[str, Job]
    keys: dict[str, str]
    results: dict[str, NotebookResult] = field(default_factory=dict)
    waits_for: dict[str, Future[NotebookResult]] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        return all(future.done() for future in self.waits_for.values())


class _Run:
    """One grading of a class."""

    def __init__(self, course: Course, assignment: str, *, sandbox: bool, again: bool) -> None:
        self.course, self.assignment, self.again = course, assignment, again
        config = course.config()
        config.IsolatedExecute.sandbox = sandbox
        self.book = MarkBook(course.db_url, assignment)
        if not self.book.is_released:
            generate(course, assignment)
        self.execute = IsolatedExecute(config=config)
        self.first_steps, self.last_steps = _other_steps(config)
        self.records = Records(course.records, assignment)
        self.outcome = Outcome(self.book.points())
        self.released = self.book.released()
        self.beside = files_of(course.source(assignment))
        self.late = course.late_policy()
        self.extended = self.late.extended
        self.policy = hashlib.sha256((course.root / CONFIG).read_bytes()).hexdigest()
        self.entries = self.book.entries()
        self.written = self.records.last_written()
        self.verdicts = self.records.last_graded()
        self.in_flight: dict[str, Future[NotebookResult]] = {}
        self.is_backed_up = False

    @property
    def done(self) -> int:
        return len(self.outcome.marks) + len(self.outcome.problems)

    def sorted(self, submissions: dict[str, Path]) -> Outcome:
        marks = self.outcome.marks
        self.outcome.marks = {name: marks[name] for name in submissions if name in marks}
        return self.outcome

    def changed(self, submissions: dict[str, Path]) -> Iterator[_Student]:
        """The students whose marks are not in the gradebook yet."""
        for name, folder in submissions.items():
            try:
                student = self._read(name, folder)
            except Exception as error:  # of any kind: a hand-in may hold anything
                self._refuse(name, error)
                continue
            if student.hand_in.remarks:
                self.outcome.remarks[name] = " ".join(student.hand_in.remarks)
            findings = None if self.again else self._known(student)
            if findings is not None and self._is_in_gradebook(student, findings):
                self.outcome.unchanged += 1
                self.outcome.results[name] = findings
                self.outcome.marks[name] = self.entries[name].marks
            else:
                yield student

    def finished(self, students: Iterator[_Student], pool: "Workers") -> Iterator[_Student]:
        """Keep the workers busy; give each student whose marks were written."""
        waiting: list[_Student] = []
        while True:
            for student in islice(students, AHEAD - len(waiting)):
                self._submit(student, pool)
                waiting.append(student)
            if not waiting:
                return
            if not any(student.is_done for student in waiting):
                futures = (future for one in waiting for future in one.waits_for.values())
                wait([one for one in futures if not one.done()], return_when=FIRST_COMPLETED)
            for student in [one for one in waiting if one.is_done]:
                waiting.remove(student)
                self._finish(student)
                yield student

    def _read(self, name: str, folder: Path) -> _Student:
        hand_in = read(folder, self.released)
        self._follow(self.first_steps, name, hand_in)
        files = {**files_of(folder, but=self.beside), **self.beside}
        jobs = {book: self.execute.job(nb, files) for book, nb in hand_in.notebooks.items()}
        keys = {book: job.key for book, job in jobs.items()}
        return _Student(name, folder, hand_in, jobs, keys)

    def _known(self, student: _Student) -> dict[str, ExerciseResult] | None:
        """What became of a student's exercises; nothing unless the history knows all."""
        found: dict[str, ExerciseResult] = {}
        for book in self.released:
            verdict = self.verdicts.get((student.name, book))
            if verdict is None or verdict["key"] != student.keys.get(book, ""):
                return None
            found |= exercises_from_json(verdict["exercises"])
        if any(finding.state is State.EXAMINER_ERROR for finding in found.values()):
            return None
        return found

    def _not_handed_in(self, student: _Student) -> dict[str, dict[str, ExerciseResult]]:
        sentence = "The notebook is not handed in."
        return {
            book: {
                cell.name: ExerciseResult(State.MISSING, 0.0, sentence, seed_of(cell.name))
                for cell in cells
                if cell.is_test
            }
            for book, cells in self.released.items()
            if book not in student.jobs
        }

    def _about(self, student: _Student) -> dict[str, Any]:
        """What the marks in the gradebook come from."""
        timestamp = student.hand_in.timestamp
        about = {"notebooks": student.keys, "timestamp": timestamp, "config": self.policy}
        extension = self.extended.get(student.name)
        return {**about, "extension": str(extension)} if extension else about

    def _is_in_gradebook(self, student: _Student, findings: dict[str, ExerciseResult]) -> bool:
        entry = self.entries.get(student.name)
        return (
            entry is not None
            and self.written.get(student.name) == self._about(student)
            and all(entry.tests.get(name) == finding.marks for name, finding in findings.items())
        )

    def _submit(self, student: _Student, pool: "Workers") -> None:
        """Give what is not known to the workers; what two students share is done once."""
        for book, key in student.keys.items():
            result = None if self.again else self.records.find(key)
            if result is not None:
                student.results[book] = result
                continue
            if key not in self.in_flight:
                self.in_flight[key] = pool.submit(student.jobs[book])
            student.waits_for[book] = self.in_flight[key]

    def _finish(self, student: _Student) -> None:
        try:
            for book, future in student.waits_for.items():
                student.results[book] = _result(future, book)
                self.records.keep(student.keys[book], student.jobs[book], student.results[book])
            self._write(student)
        except SandboxError:
            raise
        except Exception as error:  # nobody else loses anything by it
            self._refuse(student.name, error)
        for key in student.keys.values():
            self.in_flight.pop(key, None)

    def _refuse(self, name: str, error: Exception) -> None:
        sentence = str(error)
        if not isinstance(error, CourseError):
            sentence = (
                f"Nothing of it is marked, by a fault of the grader ({type(error).__name__}: "
                f"{error}). Grade again; if it fails again, report it with the hand-in."
            )
        self.outcome.problems[name] = sentence
        self.records.refused(name, sentence)

    def _write(self, student: _Student) -> None:
        """Write a student's graded notebooks, then the marks, then that both are there."""
        if not self.is_backed_up:
            back_up(self.book.db_url, self.course.root / "backups")
            self.is_backed_up = True
        for book, notebook in student.hand_in.notebooks.items():
            show(notebook, student.results[book])
        self._follow(self.last_steps, student.name, student.hand_in)
        self._write_notebooks(student)
        self.book.enter(
            student.name, student.hand_in.timestamp, student.hand_in.notebooks, self.late
        )
        not_handed_in = self._not_handed_in(student)
        graded = {
            book: (student.keys[book], job, student.results[book])
            for book, job in student.jobs.items()
        }
        self.records.written(student.name, self._about(student), graded, not_handed_in)
        self.outcome.results[student.name] = {
            name: finding
            for findings in (
                *not_handed_in.values(),
                *(result.exercises for result in student.results.values()),
            )
            for name, finding in findings.items()
        }
        self.outcome.marks[student.name] = self.book.entries(student.name)[student.name].marks

    def _follow(self, steps: list[Any], student: str, hand_in: Submission) -> None:
        """Have steps look at, and change, the notebooks of a hand-in."""
        for book, notebook in hand_in.notebooks.items():
            about = {"assignment": self.assignment, "db_url": self.book.db_url}
            resources = {"nbgrader": {**about, "student": student, "notebook": book}}
            for step in steps:
                step(notebook, resources)

    def _write_notebooks(self, student: _Student) -> None:
        """Where nbgrader has them, for formgrader and the feedback."""
        graded = self.course.root / "autograded" / student.name / self.assignment
        made = graded.with_name(f".{self.assignment}.part")
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        for name, content in files_of(student.folder, but=self.beside).items():
            (made / name).write_bytes(content)
        for book, notebook in student.hand_in.notebooks.items():
            text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
            (made / f"{book}.ipynb").write_text(text, "utf-8")
        if student.hand_in.timestamp:
            (made / TIMESTAMP).write_text(student.hand_in.timestamp, "utf-8")
        shutil.rmtree(graded, ignore_errors=True)
        made.rename(graded)


def _other_steps(config: Config) -> tuple[list[Any], list[Any]]:
    """Steps before and after the cells are run, less those whose work is done here.

    Before, the instructor's own are left; after, also those of nbgrader that we do not replace.
    """
    nbgrader = Autograde(config=config)
    done = RepairSubmission, *Autograde.sanitize_preprocessors.default()
    first = [step for step in nbgrader.sanitize_preprocessors if not issubclass(step, done)]
    ours = IsolatedExecute, SaveMarks, LatePenalties
    last = [step for step in nbgrader.autograde_preprocessors if not issubclass(step, ours)]
    return [step(config=config) for step in first], [step(config=config) for step in last]


@contextmanager
def _only_writer(course: Course) -> Iterator[None]:
    """Nobody else grades this course meanwhile; the lock goes with its process."""
    try:
        with FileLock(course.root / ".grading.lock", timeout=0):
            yield
    except Timeout:
        raise CourseError(
            f"Another process is grading {course.root}. Wait for its end, then grade again."
        ) from None


def _result(future: Future[NotebookResult], notebook: str) -> NotebookResult:
    """What a worker found.

    Raises:
        SandboxError: student code cannot be isolated there; nothing can be graded.
        CourseError: the worker failed at this notebook.
    """
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, SandboxError | CourseError):
        raise error
    raise CourseError(
        f"The worker failed at {notebook} ({type(error).__name__}: {error}). Nothing of it is "
        "marked. Grade again; if it fails again, `python -m autograder doctor` may say why."
    )
