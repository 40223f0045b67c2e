"""Writes what grading found: notebooks, then marks, then the history.

A process may be killed between any two of these writes. Marks enter the gradebook in one
transaction, and a student counts as graded only after the last write, so the next run repeats what
was cut short.
"""

import shutil
from collections.abc import Container

import nbformat

from autograder.course.folder import Course
from autograder.grading.gradebook import MarkBook, Marks, back_up
from autograder.grading.job_queue import PendingSubmission
from autograder.grading.nbgrader_steps import OtherSteps, extra_files, show
from autograder.grading.records import Records
from autograder.submissions.read import TIMESTAMP


class MarksWriter:
    """Writes the marks of one assignment, student by student.

    Args:
        course: the course folder.
        assignment: its name.
        book: the gradebook.
        records: where the history is kept.
        steps: further nbgrader steps, which see each notebook after it was run.
        shared_files: names of files that the assignment hands out; they are not copied.
    """

    def __init__(
        self,
        course: Course,
        assignment: str,
        book: MarkBook,
        records: Records,
        steps: OtherSteps,
        shared_files: Container[str],
    ) -> None:
        self._course, self._assignment, self._book = course, assignment, book
        self._records, self._steps, self._shared_files = records, steps, shared_files
        self._late_policy = course.late_policy()
        self._is_backed_up = False

    def write(self, submission: PendingSubmission) -> Marks:
        """Write all that is known of a submission, and return its marks as the gradebook has them.

        The first call copies the gradebook before it changes anything.
        """
        if not self._is_backed_up:
            back_up(self._book.db_url, self._course.root / "backups")
            self._is_backed_up = True
        student, content = submission.student, submission.content
        for name, notebook in content.notebooks.items():
            show(notebook, submission.results[name])
        self._steps.after(student, content.notebooks)
        write_notebooks(self._course, self._assignment, submission, self._shared_files)
        self._book.enter(student, content.timestamp, content.notebooks, self._late_policy)
        graded = {
            name: (submission.keys[name], job, submission.results[name])
            for name, job in submission.jobs.items()
        }
        self._records.log_written(student, submission.origin, graded, submission.missing)
        return self._book.entries(student)[student].marks


def write_notebooks(
    course: Course, assignment: str, submission: PendingSubmission, shared_files: Container[str]
) -> None:
    """Write graded notebooks to autograded/, where formgrader and the feedback look for them."""
    target = course.root / "autograded" / submission.student / assignment
    unfinished = target.with_name(f".{assignment}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name, content in extra_files(submission.folder, exclude=shared_files).items():
        (unfinished / name).write_bytes(content)
    for name, notebook in submission.content.notebooks.items():
        text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
        (unfinished / f"{name}.ipynb").write_text(text, "utf-8")
    if submission.content.timestamp:
        (unfinished / TIMESTAMP).write_text(submission.content.timestamp, "utf-8")
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)
