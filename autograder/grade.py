"""Grade what was handed in: workers do the notebooks, nbgrader writes the gradebook.

One process writes. A student's marks come from the records of jobs that are done (`records.py`),
so whatever is killed, the next run goes on where this one stopped.
"""

import hashlib
import shutil
import sqlite3
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from filelock import FileLock, Timeout
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps.api import NbGraderAPI
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SAWarning

from autograder.course import CONFIG, Course, reason, replacing
from autograder.errors import CourseError
from autograder.handin import TIMESTAMP, HandIn, Released, read
from autograder.isolated import IsolatedExecute, files_of
from autograder.job import Finding, Job, Result, State
from autograder.records import Records
from autograder.release import generate
from autograder.repair import released_cells
from autograder.sandbox.box import SandboxError
from autograder.secret import seed_of

if TYPE_CHECKING:
    from autograder.workers import Workers

BACKUPS = 20
# Students whose notebooks are with the workers at one time.
AHEAD = 32
Progress = Callable[[int, int, Counter[State]], None]


@dataclass(frozen=True)
class Marks:
    """The marks of one submission: by exercise (None waits for a person), penalty and total."""

    exercises: dict[str, float | None]
    penalty: float = 0.0

    @property
    def total(self) -> float:
        return max(0.0, sum(mark or 0.0 for mark in self.exercises.values()) - self.penalty)


@dataclass
class Outcome:
    """What came of grading a class.

    Args:
        notebooks: the points of each exercise, by notebook.
        marks: by student.
        problems: for who could not be graded, a sentence that says why.
        remarks: for who could, what an instructor should know.
        findings: by student, what became of each exercise with a hidden test.
        unchanged: how many students' marks were in the gradebook already.
    """

    notebooks: dict[str, dict[str, float]]
    marks: dict[str, Marks] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    findings: dict[str, dict[str, Finding]] = field(default_factory=dict)
    unchanged: int = 0

    @property
    def out_of(self) -> dict[str, float]:
        """The points of each exercise, in the order of the notebooks."""
        return {name: points for book in self.notebooks.values() for name, points in book.items()}

    @property
    def states(self) -> Counter[State]:
        """How many exercises ended in each state."""
        return Counter(
            finding.state for findings in self.findings.values() for finding in findings.values()
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
    with _only_writer(course), tempfile.TemporaryDirectory() as prepared:
        run = _Run(course, assignment, Path(prepared), sandbox=sandbox, again=again)
        changed = run.changed(submissions)
        first = next(changed, None)
        if first is not None:
            # It takes seconds, which a class without changes need not wait.
            from autograder.workers import workers

            with workers(jobs, scheduler) as pool:
                for _ in run.finished(chain([first], changed), pool):
                    progress(run.done, len(submissions), run.outcome.states)
    return run.sorted(submissions)


@dataclass
class _Student:
    """A student whose notebooks are to be graded, or being graded."""

    name: str
    folder: Path
    hand_in: HandIn
    jobs: dict[str, Job]
    keys: dict[str, str]
    waits_for: dict[str, Future[Result]] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        return all(future.done() for future in self.waits_for.values())


class _Run:
    """One grading of a class."""

    def __init__(
        self, course: Course, assignment: str, prepared: Path, *, sandbox: bool, again: bool
    ) -> None:
        self.course, self.assignment = course, assignment
        self.prepared, self.again = prepared, again
        config = course.config()
        config.IsolatedExecute.sandbox = sandbox
        config.IsolatedExecute.records = str(course.records)
        self.api = course.api(config)
        if not _is_released(self.api, assignment):
            generate(course, assignment)
        # nbgrader gets what we repaired; what was handed in stays as it is.
        self.api.coursedir.submitted_directory = str(prepared)
        self.execute = IsolatedExecute(config=config)
        self.records = Records(course.records, assignment)
        self.outcome = Outcome(_points(self.api, assignment))
        self.released = _released(self.api, assignment)
        self.beside = files_of(course.source(assignment))
        self.policy = hashlib.sha256((course.root / CONFIG).read_bytes()).hexdigest()
        self.scores = _auto_scores(self.api, assignment)
        self.written = self.records.last_written()
        self.in_flight: dict[str, Future[Result]] = {}
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
            except CourseError as error:
                self._refuse(name, error)
                continue
            if student.hand_in.remarks:
                self.outcome.remarks[name] = " ".join(student.hand_in.remarks)
            findings = None if self.again else self._known(student)
            if findings is not None and self._is_in_gradebook(student, findings):
                self.outcome.unchanged += 1
                self._take_over(student, findings)
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
        files = {**files_of(folder, but=self.beside), **self.beside}
        jobs = {book: self.execute.job(nb, files) for book, nb in hand_in.notebooks.items()}
        keys = {book: job.key for book, job in jobs.items()}
        return _Student(name, folder, hand_in, jobs, keys)

    def _known(self, student: _Student) -> dict[str, Finding] | None:
        """What became of a student's exercises; nothing unless the records know all."""
        found = self._not_handed_in(student)
        for key in student.keys.values():
            result = self.records.find(key)
            if result is None:
                return None
            found |= result.findings
        return found

    def _not_handed_in(self, student: _Student) -> dict[str, Finding]:
        sentence = "The notebook is not handed in."
        return {
            cell.name: Finding(State.MISSING, 0.0, sentence, seed_of(cell.name))
            for book, cells in self.released.items()
            if book not in student.jobs
            for cell in cells
            if cell.is_test
        }

    def _about(self, student: _Student) -> dict[str, Any]:
        """What the marks in the gradebook come from."""
        timestamp = student.hand_in.timestamp
        return {"notebooks": student.keys, "timestamp": timestamp, "config": self.policy}

    def _is_in_gradebook(self, student: _Student, findings: dict[str, Finding]) -> bool:
        scores = self.scores.get(student.name, {})
        return self.written.get(student.name) == self._about(student) and all(
            scores.get(exercise) == finding.marks for exercise, finding in findings.items()
        )

    def _submit(self, student: _Student, pool: "Workers") -> None:
        """Give what is not known to the workers; what two students share is done once."""
        for book, key in student.keys.items():
            if self.again or self.records.find(key) is None:
                if key not in self.in_flight:
                    self.in_flight[key] = pool.submit(student.jobs[book])
                student.waits_for[book] = self.in_flight[key]

    def _finish(self, student: _Student) -> None:
        try:
            found = self._not_handed_in(student)
            for book, future in student.waits_for.items():
                self.records.keep(student.keys[book], student.jobs[book], _result(future, book))
            for book, key in student.keys.items():
                result = self.records.find(key) or _result(student.waits_for[book], book)
                found |= result.findings
            self._write(student)
            self._take_over(student, found)
        except SandboxError:
            raise
        except CourseError as error:
            self._refuse(student.name, error)
        for key in student.keys.values():
            self.in_flight.pop(key, None)

    def _refuse(self, name: str, error: CourseError) -> None:
        self.outcome.problems[name] = str(error)
        self.records.refused(name, str(error))

    def _write(self, student: _Student) -> None:
        """Let nbgrader write a student's marks and graded notebooks."""
        if not self.is_backed_up:
            back_up(self.api.coursedir.db_url, self.course.root / "backups")
            self.is_backed_up = True
        folder = self.prepared / student.name / self.assignment
        folder.mkdir(parents=True)
        try:
            for name, content in files_of(student.folder, but=self.beside).items():
                (folder / name).write_bytes(content)
            for book, notebook in student.hand_in.notebooks.items():
                text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
                (folder / f"{book}.ipynb").write_text(text, "utf-8")
            if student.hand_in.timestamp:
                (folder / TIMESTAMP).write_text(student.hand_in.timestamp, "utf-8")
            _autograde(self.api, self.assignment, student.name)
        finally:
            shutil.rmtree(folder.parent)
        self.records.written(student.name, self._about(student))

    def _take_over(self, student: _Student, findings: dict[str, Finding]) -> None:
        self.outcome.findings[student.name] = findings
        self.outcome.marks[student.name] = marks_of(self.api, self.assignment, student.name)


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


def _result(future: Future[Result], notebook: str) -> Result:
    """What a worker found.

    Raises:
        SandboxError: student code cannot be isolated there; nothing can be graded.
        CourseError: the worker failed at this notebook.
    """
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, SandboxError):
        raise error
    raise CourseError(
        f"The worker failed at {notebook} ({type(error).__name__}: {error}). Nothing of it is "
        "marked. Grade again; if it fails again, `python -m autograder doctor` may say why."
    )


def back_up(db_url: str, folder: Path) -> Path | None:
    """Copy an SQLite gradebook, and keep the last ones; other databases have their own tools."""
    url = make_url(db_url)
    if url.get_backend_name() != "sqlite" or not url.database or not Path(url.database).is_file():
        return None
    folder.mkdir(exist_ok=True)
    target = folder / f"gradebook-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.db"
    with (
        replacing(target) as temporary,
        closing(sqlite3.connect(url.database)) as source,
        closing(sqlite3.connect(temporary)) as copy,
    ):
        source.backup(copy)
    for old in sorted(folder.glob("gradebook-*.db"))[:-BACKUPS]:
        old.unlink()
    return target


def _released(api: NbGraderAPI, assignment: str) -> Released:
    with Gradebook(api.coursedir.db_url) as gradebook:
        books = gradebook.find_assignment(assignment).notebooks
        return {book.name: released_cells(book) for book in books}


def _auto_scores(api: NbGraderAPI, assignment: str) -> dict[str, dict[str, float | None]]:
    """What the gradebook holds of hidden tests, by student."""
    with Gradebook(api.coursedir.db_url) as gradebook:
        return {
            submission.student.id: {
                grade.name: grade.auto_score
                for book in submission.notebooks
                for grade in book.grades
            }
            for submission in gradebook.assignment_submissions(assignment)
        }


def _autograde(api: NbGraderAPI, assignment: str, student: str) -> None:
    with warnings.catch_warnings():
        # nbgrader adds a submission in an order that SQLAlchemy remarks on; it is harmless.
        warnings.simplefilter("ignore", SAWarning)
        result = api.autograde(assignment, student)
    if not result["success"]:
        raise CourseError(
            f"nbgrader stopped at this hand-in ({reason(result)}). "
            "Run the notebook in JupyterLab, repair what stops it, then grade again."
        )


def _is_released(api: NbGraderAPI, assignment: str) -> bool:
    with Gradebook(api.coursedir.db_url) as gradebook:
        try:
            return bool(gradebook.find_assignment(assignment).notebooks)
        except MissingEntry:
            return False


def _points(api: NbGraderAPI, assignment: str) -> dict[str, dict[str, float]]:
    """The points of each exercise, by notebook, in the notebooks' order."""
    with Gradebook(api.coursedir.db_url) as gradebook:
        books = {}
        for book in gradebook.find_assignment(assignment).notebooks:
            points = {cell.name: float(cell.max_score) for cell in book.grade_cells}
            order = [cell.name for cell in book.source_cells]
            books[book.name] = {name: points[name] for name in order if name in points}
        return books


def marks_of(api: NbGraderAPI, assignment: str, student: str) -> Marks:
    """What the gradebook holds for a student: tests and marks by hand."""
    with Gradebook(api.coursedir.db_url) as gradebook:
        submission = gradebook.find_submission(assignment, student)
        exercises = {
            grade.name: None if grade.needs_manual_grade else float(grade.score)
            for notebook in submission.notebooks
            for grade in notebook.grades
        }
        return Marks(exercises, float(submission.late_submission_penalty))


def give_by_hand(api: NbGraderAPI, assignment: str, student: str, given: dict[str, float]) -> None:
    """Enter marks for written answers, as an instructor does in formgrader."""
    with Gradebook(api.coursedir.db_url) as gradebook:
        for notebook in gradebook.find_submission(assignment, student).notebooks:
            for grade in notebook.grades:
                if grade.name in given:
                    grade.manual_score = given[grade.name]
                    grade.needs_manual_grade = False
        gradebook.db.commit()
