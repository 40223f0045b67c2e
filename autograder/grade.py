"""Grade what was handed in, one student after the other, through nbgrader's own API."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps.api import NbGraderAPI
from nbgrader.utils import parse_utc
from sqlalchemy.exc import SAWarning

from autograder.course import Course, read_notebook, reason
from autograder.errors import CourseError
from autograder.release import generate


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
    """

    notebooks: dict[str, dict[str, float]]
    marks: dict[str, Marks] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)

    @property
    def out_of(self) -> dict[str, float]:
        """The points of each exercise, in the order of the notebooks."""
        return {name: points for book in self.notebooks.values() for name, points in book.items()}


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
            missing = _missing(folder, names)
            _autograde(api, assignment, student)
            outcome.marks[student] = marks_of(api, assignment, student)
            if missing:
                outcome.remarks[student] = f"{', '.join(missing)} is not handed in and earns 0."
        except CourseError as error:
            outcome.problems[student] = str(error)
    return outcome


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


def _missing(folder: Path, names: list[str]) -> list[str]:
    """The notebooks that are not handed in.

    Raises:
        CourseError: nbgrader would stumble over a file, or a notebook seems to have another name.
    """
    present = [name for name in names if (folder / name).is_file()]
    missing = [name for name in names if name not in present]
    others = sorted(path.name for path in folder.iterdir() if path.name not in names)
    strange = [name for name in others if name.endswith(".ipynb")]
    if not present or (missing and strange):
        raise CourseError(
            f"{folder} holds {', '.join(strange or others) or 'nothing'}, but not "
            f"{' or '.join(missing)}: give the notebook its name back, or ask the student for it. "
            "Take away what is no part of the hand-in."
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
    return missing


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
