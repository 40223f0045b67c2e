"""Why an exercise got its marks: the last record of it, and the same test once more."""

import json
from dataclasses import dataclass, replace
from typing import Any

from autograder.course.folder import Course
from autograder.course.secret import current
from autograder.errors import CourseError
from autograder.grading.job import ExerciseResult, Job
from autograder.grading.nbgrader_steps import IsolatedExecute, do, files_of
from autograder.grading.records import Records
from autograder.sandbox.limits import Limits


@dataclass(frozen=True)
class Why:
    """A verdict and its replay.

    Args:
        record: the line of the history.
        then: what became of the exercise.
        now: what became of it in the replay.
        told: what the test printed in the replay.
        is_same: whether tests, software, limits and files are still those of the record.
    """

    record: dict[str, Any]
    then: dict[str, Any]
    now: ExerciseResult
    told: str
    is_same: bool

    def __str__(self) -> str:
        record, then = self.record, self.then
        lines = [
            f"{record['student']}, {record['notebook']}, graded {record['time']}",
            f"state     {then['state']}, {_marks(then['marks'])}. {then['sentence']}".strip(),
            f"seed      {then['seed']}",
            f"versions  {json.dumps(record['versions'])}",
            f"limits    {json.dumps(record['limits'])}, sandbox: {record['sandbox']}",
            f"hash      {record['key']}",
            "",
            f"Graded again now: {self.now.state}, {_marks(self.now.marks)}.",
            self.told.rstrip(),
        ]
        if not self.is_same:
            lines.append("The tests, the software or a file have changed since.")
        return "\n".join(lines)


def why(course: Course, assignment: str, student: str, exercise: str) -> Why:
    """Find the last verdict on a student's exercise, and replay it.

    Raises:
        CourseError: there is no such verdict.
    """
    config = course.config()
    records = Records(course.records, assignment)
    lines = [line for line in records.last_graded().values() if line["student"] == student]
    if not lines:
        raise CourseError(f"{student} has no graded notebook of {assignment} in {course.root}.")
    found = [line for line in lines if exercise in line["exercises"]]
    if not found:
        known = ", ".join(name for line in lines for name in line["exercises"])
        raise CourseError(f"{student} has no {exercise} with a hidden test. There is: {known}.")
    [record] = found
    if not record["key"]:
        sentence = record["exercises"][exercise]["sentence"]
        raise CourseError(f"{student}, {record['notebook']}: {sentence} So it earns nothing.")
    cells = records.cells(record["key"])
    if cells is None:
        raise CourseError(
            f"The result {record['key']} is gone from {records.folder}: grade {student} again."
        )
    handed_in = course.submissions(assignment).get(student)
    beside = files_of(course.source(assignment))
    files = {**(files_of(handed_in, but=beside) if handed_in else {}), **beside}
    execute = IsolatedExecute(config=config)
    job = Job(cells, files, Limits(**record["limits"]), current(), execute.sandbox)
    at = next(number for number, cell in enumerate(cells) if cell.exercise == exercise)
    result = do(replace(job, cells=cells[: at + 1]))
    told = "".join(output.get("text", "") for output in result.outputs[at])
    then = record["exercises"][exercise]
    return Why(record, then, result.exercises[exercise], told, job.key == record["key"])


def _marks(marks: float | None) -> str:
    return "no marks" if marks is None else f"{marks:g} marks"
