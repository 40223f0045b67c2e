"""The jobs of a class, on their way to the workers and back."""

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.errors import CourseError
from autograder.grading.job import ExerciseResult, Job, NotebookResult
from autograder.grading.records import Records
from autograder.sandbox.box import SandboxError
from autograder.submissions.read import Submission

if TYPE_CHECKING:
    from autograder.grading.workers import WorkerPool

# Students whose notebooks are with the workers at one time.
AHEAD = 32


@dataclass(eq=False)
class PendingSubmission:
    """A submission that is being graded.

    Args:
        student: its name under submitted/.
        folder: where its files are.
        content: its repaired notebooks.
        jobs: the job of each notebook, by name.
        keys: the keys of the jobs.
        missing: by notebook that was not handed in, the results of its exercises.
        origin: what the marks come from, as the history keeps it.
        results: by notebook, as far as they are known.
        futures: by notebook, the results that the workers will return.
    """

    student: str
    folder: Path
    content: Submission
    jobs: dict[str, Job]
    keys: dict[str, str]
    missing: dict[str, dict[str, ExerciseResult]]
    origin: dict[str, Any]
    results: dict[str, NotebookResult] = field(default_factory=dict)
    futures: dict[str, Future[NotebookResult]] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether all its jobs have ended."""
        return all(future.done() for future in self.futures.values())

    @property
    def exercises(self) -> dict[str, ExerciseResult]:
        """The result of each exercise that has a hidden test."""
        notebooks = [*self.missing.values(), *(one.exercises for one in self.results.values())]
        return {name: result for exercises in notebooks for name, result in exercises.items()}


class JobQueue:
    """Gives jobs to the workers, unless their results are known.

    Args:
        workers: processes that run jobs.
        records: what was graded before.
        force: whether to run jobs again whose results are in the records.
    """

    def __init__(self, workers: "WorkerPool", records: Records, *, force: bool = False) -> None:
        self._workers, self._records, self._force = workers, records, force
        #: Jobs that have not been collected, by key; students with the same notebook share one.
        self._running: dict[str, Future[NotebookResult]] = {}

    def run(self, submissions: Iterator[PendingSubmission]) -> Iterator[PendingSubmission]:
        """Run the jobs of submissions, and yield each submission when its jobs have ended.

        Few submissions are held in memory: the next ones are read when earlier ones are done.
        """
        waiting: list[PendingSubmission] = []
        while True:
            for submission in islice(submissions, AHEAD - len(waiting)):
                self._submit(submission)
                waiting.append(submission)
            if not waiting:
                return
            if not any(one.is_done for one in waiting):
                futures = (future for one in waiting for future in one.futures.values())
                wait([one for one in futures if not one.done()], return_when=FIRST_COMPLETED)
            for submission in [one for one in waiting if one.is_done]:
                waiting.remove(submission)
                yield submission
                for key in submission.keys.values():
                    self._running.pop(key, None)

    def _submit(self, submission: PendingSubmission) -> None:
        for notebook, key in submission.keys.items():
            known = None if self._force else self._records.find(key)
            if known is not None:
                submission.results[notebook] = known
                continue
            if key not in self._running:
                self._running[key] = self._workers.submit(submission.jobs[notebook])
            submission.futures[notebook] = self._running[key]

    def collect(self, submission: PendingSubmission) -> None:
        """Put what the workers returned into the records and into the submission's results.

        Raises:
            SandboxError: the workers cannot isolate student code, so nothing can be graded.
            CourseError: a worker failed to run one of the jobs.
        """
        for notebook, future in submission.futures.items():
            result = _result(future, notebook)
            self._records.save(submission.keys[notebook], submission.jobs[notebook], result)
            submission.results[notebook] = result


def _result(future: Future[NotebookResult], notebook: str) -> NotebookResult:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, SandboxError | CourseError):
        raise error
    raise CourseError(
        f"The worker failed at {notebook} ({type(error).__name__}: {error}), so nothing of the "
        "submission is marked. Grade again; if it fails again, `python -m autograder doctor` may "
        "say why."
    )
