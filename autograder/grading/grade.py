"""Grades a class: workers run the notebooks, and one process writes the gradebook.

Results are kept by the key of their job (`records.py`), so a run that was killed is continued by
the next one.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from autograder.course.folder import CONFIG, Course
from autograder.course.release import generate
from autograder.course.secret import seed_of
from autograder.errors import CourseError
from autograder.grading.gradebook import MarkBook, Marks
from autograder.grading.job import ExerciseResult, State, exercises_from_json
from autograder.grading.job_queue import JobQueue, PendingSubmission
from autograder.grading.marks_writer import MarksWriter
from autograder.grading.nbgrader_steps import IsolatedExecute, OtherSteps, extra_files
from autograder.grading.records import Records
from autograder.sandbox.box import SandboxError
from autograder.submissions.read import Submission, read

Progress = Callable[[int, int, Counter[State]], None]


@dataclass
class Outcome:
    """The result of grading a class.

    Args:
        notebooks: the points of each exercise, by notebook.
        marks: by student.
        problems: by student who could not be graded, a sentence that says why.
        remarks: by student who was graded, what an instructor should know.
        results: by student, the result of each exercise with a hidden test.
        unchanged: the number of students whose marks were in the gradebook already.
        outside_sandbox: why student code ran outside the sandbox; "" if it ran inside.
    """

    notebooks: dict[str, dict[str, float]]
    marks: dict[str, Marks] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    results: dict[str, dict[str, ExerciseResult]] = field(default_factory=dict)
    unchanged: int = 0
    outside_sandbox: str = ""

    @property
    def out_of(self) -> dict[str, float]:
        """The points of each exercise, in the order of the notebooks."""
        return {name: points for book in self.notebooks.values() for name, points in book.items()}

    @property
    def states(self) -> Counter[State]:
        """The number of exercises that ended in each state."""
        return Counter(
            result.state for results in self.results.values() for result in results.values()
        )

    @property
    def done(self) -> int:
        """The number of students that were graded or refused."""
        return len(self.marks) + len(self.problems)


def grade(
    course: Course,
    assignment: str,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    sandbox: bool = True,
    force: bool = False,
    progress: Progress = lambda done, of, states: None,
) -> Outcome:
    """Grade everything under submitted/. A submission that fails does not affect the others.

    Args:
        course: the course folder.
        assignment: the name of its folder under source/.
        jobs: the number of workers on this machine; one for each core if `None`.
        scheduler: the address of a Dask cluster that does the work instead.
        sandbox: whether student code runs in the sandbox; without it, the code is trusted.
        force: whether to grade again what has not changed.
        progress: called after each student with the number of students done, the number of all
            students, and the states so far.

    Raises:
        CourseError: nothing can be graded; the message says why.
    """
    folders = course.submissions(assignment)
    course.notebooks(assignment)
    if not folders:
        raise CourseError(
            f"There are no submissions: put each one into "
            f"{course.root}/submitted/STUDENT/{assignment}/, then grade again."
        )
    with _only_writer(course):
        grader = ClassGrader(course, assignment, sandbox=sandbox, force=force)
        return grader.grade(folders, jobs, scheduler, progress)


class ClassGrader:
    """Grades a class once: what has changed is run by workers, and its marks are written.

    Args:
        course: the course folder.
        assignment: the name of its folder under source/; it is released if it was not yet.
        sandbox: whether student code runs in the sandbox.
        force: whether to grade again what has not changed.
    """

    def __init__(self, course: Course, assignment: str, *, sandbox: bool, force: bool) -> None:
        config = course.config()
        config.IsolatedExecute.sandbox = sandbox
        book = MarkBook(course.db_url, assignment)
        if not book.is_released:
            generate(course, assignment)
        self.force = force
        self.released = book.released()
        self.shared_files = extra_files(course.source(assignment))
        self.extensions = course.late_policy().extended
        self.config_digest = hashlib.sha256((course.root / CONFIG).read_bytes()).hexdigest()
        self.steps = OtherSteps(config, assignment, book.db_url)
        self.execute = IsolatedExecute(config=config)
        self.records = Records(course.records, assignment)
        self.writer = MarksWriter(
            course, assignment, book, self.records, self.steps, self.shared_files
        )
        self.in_gradebook = book.entries()
        self.last_written = self.records.last_written()
        self.last_graded = self.records.last_graded()
        self.outcome = Outcome(
            book.points(), outside_sandbox="" if sandbox else "--no-sandbox was given."
        )

    def grade(
        self, folders: dict[str, Path], jobs: int | None, scheduler: str | None, progress: Progress
    ) -> Outcome:
        """Find what has changed, run its jobs, and write the marks as the results come in.

        Args:
            folders: the submission of each student.
            jobs: the number of workers on this machine; one for each core if `None`.
            scheduler: the address of a Dask cluster that does the work instead.
            progress: called after each student.
        """
        changed = self._changed(folders)
        first = next(changed, None)
        if first is not None:
            # Importing Dask takes seconds, which a class without changes does not wait for.
            from autograder.grading.workers import worker_pool

            with worker_pool(jobs, scheduler) as workers:
                queue = JobQueue(workers, self.records, force=self.force)
                for submission in queue.run(chain([first], changed)):
                    self._finish(submission, queue)
                    progress(self.outcome.done, len(folders), self.outcome.states)
        marks = self.outcome.marks
        self.outcome.marks = {student: marks[student] for student in folders if student in marks}
        return self.outcome

    def _changed(self, folders: dict[str, Path]) -> Iterator[PendingSubmission]:
        """Read each submission, and yield those whose marks are not in the gradebook yet."""
        for student, folder in folders.items():
            try:
                submission = self._read(student, folder)
            except Exception as error:  # of any kind: a submission may hold anything
                self._refuse(student, error)
                continue
            if submission.content.remarks:
                self.outcome.remarks[student] = " ".join(submission.content.remarks)
            results = None if self.force else self._earlier_results(submission)
            if results is None:
                yield submission
            else:
                self.outcome.unchanged += 1
                self.outcome.results[student] = results
                self.outcome.marks[student] = self.in_gradebook[student].marks

    def _read(self, student: str, folder: Path) -> PendingSubmission:
        content = read(folder, self.released)
        self.steps.before(student, content.notebooks)
        files = {**extra_files(folder, exclude=self.shared_files), **self.shared_files}
        jobs = {name: self.execute.job(nb, files) for name, nb in content.notebooks.items()}
        keys = {name: job.key for name, job in jobs.items()}
        missing = {
            name: {
                cell.name: ExerciseResult(
                    State.MISSING, 0.0, "The notebook is not handed in.", seed_of(cell.name)
                )
                for cell in cells
                if cell.is_test
            }
            for name, cells in self.released.items()
            if name not in jobs
        }
        origin = self._origin(student, content, keys)
        return PendingSubmission(student, folder, content, jobs, keys, missing, origin)

    def _origin(self, student: str, content: Submission, keys: dict[str, str]) -> dict[str, Any]:
        """Everything that decides a student's marks and penalties."""
        origin = {
            "notebooks": keys,
            "timestamp": content.timestamp,
            "config": self.config_digest,
        }
        extension = self.extensions.get(student)
        return {**origin, "extension": str(extension)} if extension else origin

    def _earlier_results(self, submission: PendingSubmission) -> dict[str, ExerciseResult] | None:
        """The results of an earlier run, if they hold and their marks are in the gradebook."""
        student = submission.student
        if self.last_written.get(student) != submission.origin:
            return None
        results: dict[str, ExerciseResult] = {}
        for notebook in self.released:
            graded = self.last_graded.get((student, notebook))
            if graded is None or graded["key"] != submission.keys.get(notebook, ""):
                return None
            results |= exercises_from_json(graded["exercises"])
        entry = self.in_gradebook.get(student)
        if entry is None or any(
            result.state is State.EXAMINER_ERROR or entry.tests.get(name) != result.marks
            for name, result in results.items()
        ):
            return None
        return results

    def _finish(self, submission: PendingSubmission, queue: JobQueue) -> None:
        try:
            queue.collect(submission)
            self.outcome.marks[submission.student] = self.writer.write(submission)
            self.outcome.results[submission.student] = submission.exercises
        except SandboxError:
            raise
        except Exception as error:  # of any kind: it must not stop the class
            self._refuse(submission.student, error)

    def _refuse(self, student: str, error: Exception) -> None:
        """Note that a submission is not graded, and why."""
        sentence = str(error)
        if not isinstance(error, CourseError):
            sentence = (
                f"The grader failed ({type(error).__name__}: {error}), so nothing of the "
                "submission is marked. Grade again; if it fails again, report it together with "
                "the submission."
            )
        self.outcome.problems[student] = sentence
        self.records.log_refused(student, sentence)


@contextmanager
def _only_writer(course: Course) -> Iterator[None]:
    """Hold the lock of a course while it is graded; it ends with its process."""
    try:
        with FileLock(course.root / ".grading.lock", timeout=0):
            yield
    except Timeout:
        raise CourseError(
            f"Another process is grading {course.root}. Wait until it has ended, then grade again."
        ) from None
