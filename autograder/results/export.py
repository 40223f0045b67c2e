"""Exports marks to learning platforms: as nbgrader's CSV, to Canvas, Moodle and Gradescope.

Late penalties are taken off, and no total falls below zero. Text that a spreadsheet would run as a
formula is preceded by an apostrophe.
"""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook, MissingEntry

from autograder.course.folder import Course, atomic_write
from autograder.errors import CourseError

# What starts a formula in Excel, LibreOffice or Google Sheets.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class StudentRecord:
    """The marks of a student for an assignment.

    Args:
        assignment: its name.
        student: the student's id, which is the name under submitted/.
        first_name: "" if unknown, as are the last name, the email address and `lms_id`.
        last_name: the family name.
        email: the address.
        lms_id: the number of the student on the learning platform.
        exercises: the marks and their maximum, by exercise; empty if nothing was handed in.
        penalty: the marks that are taken off because the submission is late.
        out_of: the maximum of the assignment.
        waits: whether an exercise still waits for marks by hand.
        extended: the student's own deadline; "" if it was not extended.
    """

    assignment: str
    student: str
    first_name: str
    last_name: str
    email: str
    lms_id: str
    exercises: dict[str, tuple[float, float]]
    penalty: float
    out_of: float
    waits: bool
    extended: str = ""

    @property
    def raw(self) -> float:
        """The marks without the late penalty."""
        return sum(marks for marks, _ in self.exercises.values())

    @property
    def total(self) -> float:
        """The marks less the late penalty, but never below zero."""
        return max(0.0, self.raw - self.penalty)


def student_records(course: Course, assignment: str) -> list[StudentRecord]:
    """The record of every student in the gradebook, in the order of their ids.

    Raises:
        CourseError: the gradebook does not know the assignment.
    """
    with Gradebook(course.db_url) as gradebook:
        try:
            out_of = float(gradebook.find_assignment(assignment).max_score)
        except MissingEntry:
            raise CourseError(
                f"The gradebook of {course.root} has no {assignment}: grade it first."
            ) from None
        return [
            _record(gradebook, assignment, student, out_of)
            for student in sorted(gradebook.students, key=lambda student: str(student.id))
        ]


def export(course: Course, assignment: str, format: str, out: Path) -> int:
    """Write the marks of all students.

    Args:
        course: the course folder.
        assignment: the name of the assignment.
        format: a key of `FORMATS`.
        out: the file to write; for Gradescope, a folder that gets a file for each student.

    Returns:
        The number of students who still wait for marks by hand.

    Raises:
        CourseError: the format is unknown, or the gradebook has no students.
    """
    if format not in FORMATS:
        raise CourseError(f"There is no format {format}. Choose one of {', '.join(FORMATS)}.")
    found = student_records(course, assignment)
    if not found:
        raise CourseError(f"The gradebook of {course.root} has no students: grade first.")
    for name, text in FORMATS[format](found).items():
        with atomic_write(out / name if name else out) as temporary:
            temporary.write_text(text, "utf-8", newline="")
    return sum(record.waits for record in found)


def _record(gradebook: Gradebook, assignment: str, student: Any, out_of: float) -> StudentRecord:
    record = StudentRecord(
        assignment,
        str(student.id),
        student.first_name or "",
        student.last_name or "",
        student.email or "",
        student.lms_user_id or "",
        {},
        0.0,
        out_of,
        False,
    )
    try:
        submission = gradebook.find_submission(assignment, record.student)
    except MissingEntry:
        return record
    grades = [grade for book in submission.notebooks for grade in book.grades]
    return replace(
        record,
        exercises={grade.name: (float(grade.score), float(grade.max_score)) for grade in grades},
        penalty=float(submission.late_submission_penalty),
        waits=any(grade.needs_manual_grade for grade in grades),
        extended=f"{submission.duedate:%Y-%m-%d %H:%M} UTC" if submission.extension else "",
    )


def _nbgrader(found: Sequence[StudentRecord]) -> dict[str, str]:
    """The columns of `nbgrader export`, and one for each exercise."""
    exercises = list(dict.fromkeys(name for record in found for name in record.exercises))
    head = "assignment student_id last_name first_name email raw_score late_submission_penalty"
    lines: list[list[object]] = [
        [*head.split(), "score", "max_score", *exercises, "extended_until"]
    ]
    for record in found:
        marks = [record.exercises.get(name, ("",))[0] for name in exercises]
        who = [record.student, record.last_name, record.first_name, record.email]
        sums = [record.raw, record.penalty, record.total, record.out_of]
        lines.append([record.assignment, *who, *sums, *marks, record.extended])
    return {"": _csv(lines)}


def _canvas(found: Sequence[StudentRecord]) -> dict[str, str]:
    """The columns of Canvas's gradebook import, and its line with the points possible."""
    title, out_of = found[0].assignment, found[0].out_of
    lines: list[list[object]] = [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", title],
        ["    Points Possible", "", "", "", "", out_of],
    ]
    for record in found:
        name = f"{record.last_name}, {record.first_name}".strip(", ") or record.student
        lines.append([name, record.lms_id, record.student, record.email, "", record.total])
    return {"": _csv(lines)}


def _moodle(found: Sequence[StudentRecord]) -> dict[str, str]:
    """The columns of Moodle's grade import, which finds students by ID number or address."""
    lines: list[list[object]] = [["ID number", "Email address", found[0].assignment]]
    lines += [[record.lms_id or record.student, record.email, record.total] for record in found]
    return {"": _csv(lines)}


def _gradescope(found: Sequence[StudentRecord]) -> dict[str, str]:
    """A results.json for each student, as Gradescope's autograders write it."""
    return {
        f"{record.student}.json": json.dumps(
            {
                "score": record.total,
                "output": _deadline_in_words(record),
                "tests": [
                    {"name": name, "score": marks, "max_score": out_of}
                    for name, (marks, out_of) in record.exercises.items()
                ],
            },
            indent=2,
        )
        + "\n"
        for record in found
    }


def _deadline_in_words(record: StudentRecord) -> str:
    late = f"Late: -{record.penalty:g}." if record.penalty else ""
    extended = f"The deadline was extended to {record.extended}." if record.extended else ""
    return f"{extended} {late}".strip()


FORMATS: dict[str, Callable[[Sequence[StudentRecord]], dict[str, str]]] = {
    "nbgrader": _nbgrader,
    "canvas": _canvas,
    "moodle": _moodle,
    "gradescope": _gradescope,
}


def _csv(lines: Iterable[Sequence[object]]) -> str:
    text = StringIO()
    csv.writer(text).writerows([defused(value) for value in line] for line in lines)
    return text.getvalue()


def defused(value: object) -> object:
    """The value of a table's cell, changed so that no spreadsheet runs it as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
