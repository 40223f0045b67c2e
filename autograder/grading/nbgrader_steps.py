"""The steps by which nbgrader grades in the sandbox; `nbgrader_config.py` names them.

`nbgrader autograde` runs them in its own pipeline. `grade.py` takes them apart: it gets the job of
a notebook from `IsolatedExecute`, and runs all further steps through `OtherSteps`.
"""

import multiprocessing
from collections.abc import Container, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path
from typing import Any

from nbformat import from_dict
from nbformat.notebooknode import NotebookNode
from nbgrader.converters import Autograde
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from nbgrader.utils import compute_checksum, is_grade, is_solution
from traitlets import Bool, Dict, Unicode
from traitlets.config.loader import Config

from autograder.course import secret
from autograder.course.late import LatePenalties
from autograder.errors import CourseError
from autograder.grading.gradebook import enter_score
from autograder.grading.job import Cell, Job, NotebookResult
from autograder.grading.records import Records
from autograder.sandbox.limits import Limits
from autograder.submissions.read import TIMESTAMP
from autograder.submissions.repair import RepairSubmission

# Of all files next to the notebooks of a submission; no data set of this course is larger.
FILE_BYTES = 64 * 2**20
FILES = 1000


class IsolatedExecute(NbGraderPreprocessor):  # type: ignore[misc]
    """Takes the place of nbgrader's `Execute`: runs cells in the sandbox and tests outside of it.

    A notebook whose result is in the records is not run again.
    """

    limits = Dict(help="What a submission may use; see `autograder.sandbox.limits`.").tag(
        config=True
    )
    sandbox = Bool(
        True, help="Run student code in the sandbox; without it, the code is trusted."
    ).tag(config=True)
    records = Unicode(help="The folder of the records; if it is empty, none are kept.").tag(
        config=True
    )

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        about = resources["nbgrader"]
        job = self.job(nb, extra_files(Path(resources["metadata"]["path"])))
        key = job.key
        records = Records(Path(self.records), about["assignment"]) if self.records else None
        result = records.find(key) if records else None
        if result is None:
            result = run_in_another_process(job)
            if records:
                records.save(key, job, result)
        if records:
            records.log_graded(about["student"], about["notebook"], key, job, result)
        show(nb, result)
        return nb, resources

    def job(self, nb: NotebookNode, files: Mapping[str, bytes]) -> Job:
        """The job that grades a repaired notebook with these files next to it."""
        cells = tuple(map(_cell, _code_cells(nb)))
        return Job(cells, files, Limits(**self.limits), secret.current(), self.sandbox)


class SaveMarks(SaveAutoGrades):  # type: ignore[misc]
    """nbgrader's `SaveAutoGrades`, except that a test that itself failed gives no marks."""

    def _add_score(self, cell: NotebookNode, resources: dict[str, Any]) -> None:
        name = cell.metadata.nbgrader.grade_id
        where = self.notebook_id, self.assignment_id, self.student_id
        enter_score(self.gradebook.find_grade(name, *where), cell)
        self.gradebook.db.commit()


class OtherSteps:
    """The nbgrader steps of a course that `grade.py` does not replace, such as an instructor's own.

    Args:
        config: the course's configuration.
        assignment: the assignment's name.
        db_url: the address of the gradebook.
    """

    def __init__(self, config: Config, assignment: str, db_url: str) -> None:
        self._about = {"assignment": assignment, "db_url": db_url}
        nbgrader = Autograde(config=config)
        replaced = RepairSubmission, *Autograde.sanitize_preprocessors.default()
        self._before = _made(nbgrader.sanitize_preprocessors, replaced, config)
        replaced = IsolatedExecute, SaveMarks, LatePenalties
        self._after = _made(nbgrader.autograde_preprocessors, replaced, config)

    def before(self, student: str, notebooks: Mapping[str, NotebookNode]) -> None:
        """Run the steps that look at notebooks, and may change them, before they are run."""
        self._run(self._before, student, notebooks)

    def after(self, student: str, notebooks: Mapping[str, NotebookNode]) -> None:
        """Run the steps that look at notebooks, and may change them, after they were run."""
        self._run(self._after, student, notebooks)

    def _run(self, steps: list[Any], student: str, notebooks: Mapping[str, NotebookNode]) -> None:
        for name, notebook in notebooks.items():
            about = {**self._about, "student": student, "notebook": name}
            resources = {"nbgrader": about}
            for step in steps:
                step(notebook, resources)


def _made(steps: list[Any], replaced: tuple[type, ...], config: Config) -> list[Any]:
    return [step(config=config) for step in steps if not issubclass(step, replaced)]


def show(nb: NotebookNode, result: NotebookResult) -> None:
    """Put the outputs of a result into the cells of its notebook."""
    cells = zip(_code_cells(nb), result.outputs, strict=True)
    for count, (cell, outputs) in enumerate(cells, start=1):
        cell.execution_count = count
        cell.outputs = [from_dict(output) for output in outputs]  # type: ignore[no-untyped-call]


def extra_files(folder: Path, exclude: Container[str] = ()) -> dict[str, bytes]:
    """The content of the files next to the notebooks in a folder, by name.

    Args:
        folder: the folder; folders in it are left out.
        exclude: names of files to leave out.

    Raises:
        CourseError: there are too many files, or they are too large.
    """
    paths = [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and path.suffix != ".ipynb" and path.name != TIMESTAMP
        if path.name not in exclude
    ]
    if len(paths) > FILES:
        raise CourseError(
            f"{len(paths)} files lie next to the notebooks in {folder}, more than {FILES}. Remove "
            "what the assignment does not need, then grade again."
        )
    size = sum(path.stat().st_size for path in paths)
    if size > FILE_BYTES:
        largest = max(paths, key=lambda path: path.stat().st_size).name
        raise CourseError(
            f"The files next to the notebooks have {size / 2**20:.0f} MiB, more than "
            f"{FILE_BYTES / 2**20:.0f}. Remove what the assignment does not need (the largest "
            f"is {largest}), then grade again."
        )
    return {path.name: path.read_bytes() for path in paths}


def run_here(job: Job) -> NotebookResult:
    """Run a job in this process; importing PyTorch is left until then."""
    from autograder.grading.run_job import run_job

    return run_job(job)


def run_in_another_process(job: Job) -> NotebookResult:
    """Run a job in a process that may break without breaking nbgrader.

    Raises:
        CourseError: that process was killed, or the job cannot be run.
        SandboxError: student code cannot be isolated on this machine.
    """
    try:
        return _examiner().submit(run_here, job).result()
    except BrokenProcessPool:
        _examiner.cache_clear()
        raise CourseError("The examiner's process was killed; grade again.") from None


@cache
def _examiner() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


def _code_cells(nb: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def _cell(cell: NotebookNode) -> Cell:
    about = cell.metadata.get("nbgrader", {})
    if is_grade(cell) and not is_solution(cell):
        return Cell(cell.source, exercise=about["grade_id"])
    answers = is_solution(cell)
    untouched = answers and about.get("checksum") == compute_checksum(cell)
    return Cell(cell.source, answers=answers, untouched=untouched)
