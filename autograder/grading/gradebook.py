"""Reads and writes nbgrader's gradebook.

nbgrader commits after each cell, and opens the gradebook some thirty times for one submission. Here
its own methods fill one transaction for each student: if the process is killed, the gradebook holds
all of a student's new marks or none of them.
"""

import sqlite3
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nbformat.notebooknode import NotebookNode
from nbgrader.api import (
    BaseCell,
    Grade,
    Gradebook,
    MissingEntry,
    Student,
    SubmittedAssignment,
    SubmittedNotebook,
)
from nbgrader.utils import compute_checksum, determine_grade, is_task
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SAWarning

from autograder.course.folder import atomic_write
from autograder.course.late import LatePolicy
from autograder.grading.job import EXAMINER_ERROR
from autograder.submissions.repair import ReleasedCell, released_cells

BACKUPS = 20


@dataclass(frozen=True)
class Marks:
    """The marks of one submission.

    Args:
        exercises: the marks of each exercise; `None` waits for marks by hand.
        penalty: the marks that are taken off because the submission is late.
    """

    exercises: dict[str, float | None]
    penalty: float = 0.0

    @property
    def total(self) -> float:
        """The sum less the penalty, but never below zero."""
        return max(0.0, sum(mark or 0.0 for mark in self.exercises.values()) - self.penalty)


@dataclass
class GradebookEntry:
    """What the gradebook holds of a student.

    Args:
        marks: with marks by hand.
        tests: the marks that each test cell gave; `None` for an exercise that is marked by hand.
    """

    marks: Marks
    tests: dict[str, float | None] = field(default_factory=dict)


class MarkBook:
    """The marks of one assignment in nbgrader's gradebook.

    Args:
        db_url: the gradebook's address.
        assignment: the assignment's name.
    """

    def __init__(self, db_url: str, assignment: str) -> None:
        self.db_url, self.assignment = db_url, assignment

    @property
    def is_released(self) -> bool:
        """Whether the gradebook knows the assignment and its notebooks."""
        with Gradebook(self.db_url) as gradebook:
            try:
                return bool(gradebook.find_assignment(self.assignment).notebooks)
            except MissingEntry:
                return False

    def released(self) -> dict[str, list[ReleasedCell]]:
        """The cells with a `grade_id` that were handed out, by notebook."""
        with Gradebook(self.db_url) as gradebook:
            books = gradebook.find_assignment(self.assignment).notebooks
            return {book.name: released_cells(book) for book in books}

    def points(self) -> dict[str, dict[str, float]]:
        """The points of each exercise, by notebook, in the notebooks' order."""
        return {
            name: {
                cell.name: float(cell.metadata["points"])
                for cell in cells
                if cell.metadata["grade"]
            }
            for name, cells in self.released().items()
        }

    def entries(self, student: str | None = None) -> dict[str, GradebookEntry]:
        """The entry of each student who has handed something in, or of one student only."""
        with Gradebook(self.db_url) as gradebook:
            assignment = gradebook.find_assignment(self.assignment).id

            def of_class(query: Any) -> Any:
                rows = query.join(SubmittedNotebook.assignment).join(SubmittedAssignment.student)
                rows = rows.filter(SubmittedAssignment.assignment_id == assignment)
                return rows if student is None else rows.filter(Student.id == student)

            books = gradebook.db.query(
                Student.id, SubmittedNotebook.late_submission_penalty
            ).select_from(SubmittedNotebook)
            penalties = defaultdict[str, float](float)
            for name, penalty in of_class(books):
                penalties[name] += penalty or 0.0
            entries = {
                name: GradebookEntry(Marks({}, penalty)) for name, penalty in penalties.items()
            }
            grades = gradebook.db.query(
                Student.id, BaseCell.name, Grade.auto_score, Grade.manual_score, Grade.score
            ).select_from(Grade)
            for name, exercise, auto, by_hand, score in of_class(
                grades.join(Grade.cell).join(Grade.notebook)
            ):
                waits = auto is None and by_hand is None
                entries[name].marks.exercises[exercise] = None if waits else float(score)
                entries[name].tests[exercise] = auto
        return entries

    def enter(
        self,
        student: str,
        timestamp: str,
        notebooks: Mapping[str, NotebookNode],
        policy: LatePolicy,
    ) -> None:
        """Write the marks and comments of a submission, as `nbgrader autograde` does.

        Args:
            student: the name under submitted/.
            timestamp: when it was handed in; "" if that is not known.
            notebooks: the graded notebooks by name; a notebook that is missing earns nothing.
            policy: the deadline and the late penalty.
        """
        when = {"timestamp": timestamp} if timestamp else {}
        with _transaction(self.db_url) as gradebook:
            gradebook.update_or_create_student(student)
            gradebook.update_or_create_assignment(self.assignment, duedate=policy.deadline_in_utc)
            submission = gradebook.update_or_create_submission(self.assignment, student, **when)
            submission.extension = policy.extended.get(student)
            late = submission.total_seconds_late
            for book in submission.notebooks:
                notebook = notebooks.get(book.name)
                _enter(book, notebook)
                penalty = policy.penalty(float(book.notebook.max_score), late)
                book.late_submission_penalty = penalty if notebook and late > 0 else None

    def give_by_hand(self, student: str, given: Mapping[str, float]) -> None:
        """Enter marks by exercise for written answers, as an instructor does in formgrader."""
        with _transaction(self.db_url) as gradebook:
            for book in gradebook.find_submission(self.assignment, student).notebooks:
                for grade in book.grades:
                    if grade.name in given:
                        grade.manual_score = given[grade.name]
                        grade.needs_manual_grade = False


@contextmanager
def _transaction(db_url: str) -> Iterator[Gradebook]:
    """A gradebook whose changes are committed together at the end, or not at all."""
    with Gradebook(db_url) as gradebook, warnings.catch_warnings():
        # nbgrader adds a submission in an order that SQLAlchemy warns about; it is harmless.
        warnings.simplefilter("ignore", SAWarning)
        commit = gradebook.db.commit
        gradebook.db.commit = gradebook.db.flush
        yield gradebook
        commit()


def _enter(book: Any, notebook: NotebookNode | None) -> None:
    """Enter the scores and comments of a graded notebook; without one, zeros."""
    if notebook is None:
        for grade in book.grades:
            grade.auto_score, grade.needs_manual_grade = 0.0, False
        return
    cells = {
        cell.metadata["nbgrader"]["grade_id"]: cell
        for cell in notebook.cells
        if "grade_id" in cell.metadata.get("nbgrader", {})
    }
    for grade in book.grades:
        enter_score(grade, cells[grade.name])
    for comment in book.comments:
        cell = cells[comment.name]
        untouched = cell.metadata["nbgrader"].get("checksum") == compute_checksum(cell)
        comment.auto_comment = "No response." if untouched and not is_task(cell) else None


def enter_score(grade: Any, cell: NotebookNode) -> None:
    """Enter the score of a cell by nbgrader's rule; a test that itself failed gives no score."""
    failed = any(output.get("ename") == EXAMINER_ERROR for output in cell.get("outputs", ()))
    grade.auto_score = None if failed else determine_grade(cell)[0]
    grade.needs_manual_grade = grade.auto_score is None or grade.manual_score is not None


def back_up(db_url: str, folder: Path) -> Path | None:
    """Copy an SQLite gradebook into a folder, and keep the newest copies.

    Returns:
        The copy; `None` for other databases, which have their own tools, and for a new gradebook.
    """
    url = make_url(db_url)
    if url.get_backend_name() != "sqlite" or not url.database or not Path(url.database).is_file():
        return None
    folder.mkdir(exist_ok=True)
    target = folder / f"gradebook-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.db"
    with (
        atomic_write(target) as temporary,
        closing(sqlite3.connect(url.database)) as source,
        closing(sqlite3.connect(temporary)) as copy,
    ):
        source.backup(copy)
    for old in sorted(folder.glob("gradebook-*.db"))[:-BACKUPS]:
        old.unlink()
    return target
