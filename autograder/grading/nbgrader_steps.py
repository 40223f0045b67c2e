"""nbgrader's door to the sandbox: takes the place of its own execution in `nbgrader_config.py`."""

import multiprocessing
from collections.abc import Container, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path
from typing import Any

from nbformat import from_dict
from nbformat.notebooknode import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from nbgrader.utils import compute_checksum, is_grade, is_solution
from traitlets import Bool, Dict, Unicode

from autograder.course import secret
from autograder.errors import CourseError
from autograder.grading.gradebook import enter_score
from autograder.grading.job import Cell, Job, NotebookResult
from autograder.grading.records import Records
from autograder.sandbox.limits import Limits
from autograder.submissions.read import TIMESTAMP

# Of all files beside the notebooks; more is no data set of this course.
FILE_BYTES = 64 * 2**20
FILES = 1000


class IsolatedExecute(NbGraderPreprocessor):  # type: ignore[misc]
    """Fills in what a notebook's cells show and its tests find: from the records, else by work."""

    limits = Dict(help="What a submission may use; see `autograder.sandbox.limits`.").tag(
        config=True
    )
    sandbox = Bool(True, help="Wall student code in; without, it is trusted.").tag(config=True)
    records = Unicode(help="Folder for the records; none are kept without.").tag(config=True)

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        about = resources["nbgrader"]
        job = self.job(nb, files_of(Path(resources["metadata"]["path"])))
        key = job.key
        records = Records(Path(self.records), about["assignment"]) if self.records else None
        result = records.find(key) if records else None
        if result is None:
            result = in_another_process(job)
            if records:
                records.keep(key, job, result)
        if records:
            records.graded(about["student"], about["notebook"], key, job, result)
        show(nb, result)
        return nb, resources

    def job(self, nb: NotebookNode, files: Mapping[str, bytes]) -> Job:
        """What decides the marks of a repaired notebook."""
        cells = tuple(map(_cell, _code(nb)))
        return Job(cells, files, Limits(**self.limits), secret.current(), self.sandbox)


class SaveMarks(SaveAutoGrades):  # type: ignore[misc]
    """nbgrader's own step, with the rule of `enter_score`."""

    def _add_score(self, cell: NotebookNode, resources: dict[str, Any]) -> None:
        name = cell.metadata.nbgrader.grade_id
        where = self.notebook_id, self.assignment_id, self.student_id
        enter_score(self.gradebook.find_grade(name, *where), cell)
        self.gradebook.db.commit()


def show(nb: NotebookNode, result: NotebookResult) -> None:
    """Put what a notebook's cells gave into the notebook."""
    for count, (cell, outputs) in enumerate(zip(_code(nb), result.outputs, strict=True), start=1):
        cell.execution_count = count
        cell.outputs = [from_dict(output) for output in outputs]  # type: ignore[no-untyped-call]


def files_of(folder: Path, but: Container[str] = ()) -> dict[str, bytes]:
    """What lies beside the notebooks in a folder, by name.

    Raises:
        CourseError: it is too much for a hand-in.
    """
    paths = [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and path.suffix != ".ipynb" and path.name != TIMESTAMP
        if path.name not in but
    ]
    if len(paths) > FILES:
        raise CourseError(
            f"{len(paths)} files lie beside the notebooks in {folder}, more than {FILES}. Take "
            "away what the assignment does not need, then grade again."
        )
    size = sum(path.stat().st_size for path in paths)
    if size > FILE_BYTES:
        largest = max(paths, key=lambda path: path.stat().st_size).name
        raise CourseError(
            f"The files beside the notebooks have {size / 2**20:.0f} MiB, more than "
            f"{FILE_BYTES / 2**20:.0f}. Take away what the assignment does not need (the largest "
            f"is {largest}), then grade again."
        )
    return {path.name: path.read_bytes() for path in paths}


def do(job: Job) -> NotebookResult:
    """The result of a job, in this process; only here is PyTorch needed."""
    from autograder.grading.run_job import run_job

    return run_job(job)


def in_another_process(job: Job) -> NotebookResult:
    """The result of a job; what breaks the examiner leaves nbgrader alone."""
    try:
        return _examiner().submit(do, job).result()
    except BrokenProcessPool:
        _examiner.cache_clear()
        raise CourseError("The examiner's process was ended; grade again.") from None


@cache
def _examiner() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


def _code(nb: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def _cell(cell: NotebookNode) -> Cell:
    about = cell.metadata.get("nbgrader", {})
    if is_grade(cell) and not is_solution(cell):
        return Cell(cell.source, exercise=about["grade_id"])
    answers = is_solution(cell)
    untouched = answers and about.get("checksum") == compute_checksum(cell)
    return Cell(cell.source, answers=answers, untouched=untouched)
