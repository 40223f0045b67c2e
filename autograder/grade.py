"""Grade what was handed in, one student after the other, through nbgrader's own API."""

import shutil
import tomllib
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps.api import NbGraderAPI
from nbgrader.utils import parse_utc
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import SAWarning

from autograder.course import Course, read_notebook, reason
from autograder.errors import CourseError
from autograder.release import generate

BY_HAND = "by hand"


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
    """What came of grading a class: marks by student, and a sentence for whoever has none."""

    out_of: dict[str, float]
    marks: dict[str, Marks] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def grade(course: Course, assignment: str) -> Outcome:
    """Grade everything under submitted/. A submission that fails costs nobody else anything."""
    submissions = course.submissions(assignment)
    names = [path.name for path in course.notebooks(assignment)]
    if not submissions:
        raise CourseError(
            f"Nothing is handed in: put each hand-in into "
            f"{course.root}/submitted/STUDENT/{assignment}/, then grade again."
        )
    api = course.api()
    if not _is_released(api, assignment):
        generate(course, assignment)
    outcome = Outcome(_points(api, assignment))
    for student, folder in submissions.items():
        try:
            _check(folder, names)
            _autograde(api, assignment, student)
            outcome.marks[student] = _marks(api, assignment, student)
        except CourseError as error:
            outcome.problems[student] = str(error)
    return outcome


def grade_samples(course: Course, assignment: str, scratch: Path) -> tuple[Outcome, list[str]]:
    """Release and grade the bundled samples in a scratch copy; also say whose marks are off."""
    samples = course.samples()
    if not samples:
        raise CourseError(f"{course.root / 'samples'} holds no sample with a marks.toml.")
    staged = course.staged(scratch)
    generate(staged, assignment)
    for name, folder in samples.items():
        shutil.copytree(
            folder,
            staged.root / "submitted" / name / assignment,
            ignore=shutil.ignore_patterns("marks.toml"),
        )
    outcome = grade(staged, assignment)
    differences = []
    for name, marks in outcome.marks.items():
        written = tomllib.loads((samples[name] / "marks.toml").read_text("utf-8"))
        for exercise, expected in {**written["exercises"], "total": written["total"]}.items():
            given = {**marks.exercises, "total": marks.total}.get(exercise)
            if given != (None if expected == BY_HAND else expected):
                differences.append(
                    f"{name}: {exercise} is {_show(given)}, its marks.toml says {_show(expected)}."
                )
    return outcome, differences


def print_outcome(outcome: Outcome, console: Console) -> None:
    """A table of the marks, then who could not be graded and what to do."""
    table = Table()
    table.add_column("student", no_wrap=True)
    for exercise, points in outcome.out_of.items():
        table.add_column(exercise.replace("_", "\n") + f"\n/ {points:g}", justify="right")
    table.add_column("late", justify="right")
    table.add_column(f"total\n/ {sum(outcome.out_of.values()):g}", justify="right")
    for student, marks in outcome.marks.items():
        late = f"-{marks.penalty:g}" if marks.penalty else ""
        exercises = [_show(marks.exercises[exercise]) for exercise in outcome.out_of]
        table.add_row(student, *exercises, late, _show(marks.total))
    console.print(table)
    for student, problem in outcome.problems.items():
        console.print(f"[bold red]Not graded:[/] {student}. ", end="")
        console.print(problem, markup=False)


def _show(mark: float | str | None) -> str:
    return BY_HAND if mark is None else mark if isinstance(mark, str) else f"{mark:g}"


def _is_released(api: NbGraderAPI, assignment: str) -> bool:
    with Gradebook(api.coursedir.db_url) as gradebook:
        try:
            return bool(gradebook.find_assignment(assignment).notebooks)
        except MissingEntry:
            return False


def _points(api: NbGraderAPI, assignment: str) -> dict[str, float]:
    """The points of each exercise, in the order of the notebooks."""
    with Gradebook(api.coursedir.db_url) as gradebook:
        notebooks = gradebook.find_assignment(assignment).notebooks
        points = {cell.name: cell.max_score for book in notebooks for cell in book.grade_cells}
        order = [cell.name for book in notebooks for cell in book.source_cells]
    return {name: float(points[name]) for name in order if name in points}


def _check(folder: Path, names: list[str]) -> None:
    """Look for what nbgrader would stumble over, and say it in words that help."""
    present = [name for name in names if (folder / name).is_file()]
    if not present:
        others = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise CourseError(
            f"{folder} holds {others}, but not {' or '.join(names)}: "
            "give the notebook its name back, or ask the student for it."
        )
    for name in present:
        try:
            read_notebook(folder / name)
        except CourseError as error:
            raise CourseError(f"{error} Ask the student to upload it again.") from None
    timestamp = folder / "timestamp.txt"
    try:
        parse_utc(timestamp.read_text("utf-8").strip() if timestamp.is_file() else None)
    except (ValueError, OverflowError):
        raise CourseError(
            f"{timestamp} holds no time: write the time of the hand-in into it, "
            'such as "2026-11-13 17:59:00 UTC", then grade again.'
        ) from None


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


def _marks(api: NbGraderAPI, assignment: str, student: str) -> Marks:
    with Gradebook(api.coursedir.db_url) as gradebook:
        submission = gradebook.find_submission(assignment, student)
        exercises = {
            grade.name: None if grade.needs_manual_grade else float(grade.score)
            for notebook in submission.notebooks
            for grade in notebook.grades
        }
        return Marks(exercises, float(submission.late_submission_penalty))
