"""Explains the marks of an exercise: its last result from the history, and its test run again."""

import json
from dataclasses import dataclass, replace
from typing import Any

from autograder.course.folder import Course
from autograder.course.secret import current
from autograder.errors import CourseError
from autograder.grading.job import ExerciseResult, Job, exercises_from_json
from autograder.grading.nbgrader_steps import IsolatedExecute, extra_files, run_here
from autograder.grading.records import Records
from autograder.sandbox.limits import Limits


@dataclass(frozen=True)
class Replay:
    """The last result of an exercise, and the result of its test run again.

    Args:
        record: the line of the history.
        then: the result that it holds.
        now: the result of the replay.
        printed: what the test printed in the replay.
        is_same: whether the tests, the software, the limits and the files are still the same.
    """

    record: dict[str, Any]
    then: ExerciseResult
    now: ExerciseResult
    printed: str
    is_same: bool

    def __str__(self) -> str:
        record, then = self.record, self.then
        lines = [
            f"{record['student']}, {record['notebook']}, graded {record['time']}",
            f"state     {then.state}, {_marks(then.marks)}. {then.sentence}".strip(),
            f"seed      {then.seed}",
            f"versions  {json.dumps(record['versions'])}",
            f"limits    {json.dumps(record['limits'])}, sandbox: {record['sandbox']}",
            f"hash      {record['key']}",
            "",
            f"Graded again now: {self.now.state}, {_marks(self.now.marks)}.",
            self.printed.rstrip(),
        ]
        if not self.is_same:
            lines.append("The tests, the software or a file have changed since.")
        return "\n".join(lines)


def replay(course: Course, assignment: str, student: str, exercise: str) -> Replay:
    """Find the last result of a student's exercise, and run its test again.

    Raises:
        CourseError: there is no such result, or it cannot be replayed.
        SandboxError: it was graded in the sandbox, which does not start here.
    """
    config = course.config()
    records = Records(course.records, assignment)
    lines = [line for line in records.last_graded().values() if line["student"] == student]
    if not lines:
        raise CourseError(f"{student} has no graded notebook of {assignment} in {course.root}.")
    found = [line for line in lines if exercise in line["exercises"]]
    if not found:
        known = ", ".join(name for line in lines for name in line["exercises"])
        raise CourseError(
            f"{student} has no exercise {exercise} with a hidden test. Choose one of: {known}."
        )
    [record] = found
    then = exercises_from_json(record["exercises"])[exercise]
    if not record["key"]:
        raise CourseError(
            f"{student}, {record['notebook']}: {then.sentence} So the exercise earns nothing."
        )
    cells = records.cells(record["key"])
    if cells is None:
        raise CourseError(
            f"The result {record['key']} is not in {records.folder} any more: grade {student} "
            "again."
        )
    submitted = course.submissions(assignment).get(student)
    shared = extra_files(course.source(assignment))
    files = {**(extra_files(submitted, exclude=shared) if submitted else {}), **shared}
    sandbox = IsolatedExecute(config=config).sandbox
    job = Job(cells, files, Limits(**record["limits"]), current(), sandbox)
    at = next(number for number, cell in enumerate(cells) if cell.exercise == exercise)
    result = run_here(replace(job, cells=cells[: at + 1]))
    printed = "".join(output.get("text", "") for output in result.outputs[at])
    return Replay(record, then, result.exercises[exercise], printed, job.key == record["key"])


def _marks(marks: float | None) -> str:
    return "no marks" if marks is None else f"{marks:g} marks"
