"""Executes a hand-in with the student's code in a sandbox and the tests outside of it.

`IsolatedExecute` takes the place of nbgrader's own execution in `nbgrader_config.py`.
"""

import atexit
from functools import cache
from pathlib import Path
from typing import Any

from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade, is_solution
from traitlets import Dict

from autograder.errors import CourseError
from autograder.examiner import ExaminerError, examine
from autograder.sandbox.limits import Limits
from autograder.sandbox.results import CellResult, StudentEnded
from autograder.sandbox.session import Sandbox

# Of the files beside a notebook; more is no data set of this course.
FILE_BYTES = 64 * 2**20


class IsolatedExecute(NbGraderPreprocessor):  # type: ignore[misc]
    """Runs the cells of a notebook; the test cells are run by the examiner."""

    limits = Dict(help="What a submission may use; see `autograder.sandbox.limits`.").tag(
        config=True
    )

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        folder = Path(resources["metadata"]["path"])
        run = _Run(_box(tuple(self.limits.items())), _files_of(folder))
        try:
            cells = [cell for cell in nb.cells if cell.cell_type == "code"]
            for count, cell in enumerate(cells, start=1):
                cell.execution_count = count
                cell.outputs = run.outputs_of(cell, count)
        except ExaminerError as error:
            raise CourseError(
                f"A test of {resources['nbgrader']['notebook']} fails by its own fault: {error}."
            ) from error
        finally:
            run.close()
        return nb, resources


class _Run:
    """A student process, and a fresh one after each that died."""

    def __init__(self, box: Sandbox, files: dict[str, bytes]) -> None:
        self.box, self.files = box, files
        self.student = box.start(files)
        self.done: list[str] = []

    def close(self) -> None:
        self.student.close()

    def outputs_of(self, cell: NotebookNode, count: int) -> list[NotebookNode]:
        if is_grade(cell) and not is_solution(cell):
            try:
                return examine(cell.source, self.student, count)
            except StudentEnded as end:
                self._start_again()
                return [_error(end.state, end.sentence)]
        result = self.student.run_cell(cell.source)
        if result.alive:
            self.done.append(cell.source)
        else:
            self._start_again()
        return _shown(result)

    def _start_again(self) -> None:
        """A process in which the cells ran that did no harm."""
        self.student.close()
        self.student = self.box.start(self.files)
        for source in self.done:
            if not self.student.run_cell(source).alive:
                return


@cache
def _box(limits: tuple[tuple[str, float], ...]) -> Sandbox:
    """One warm process for all that this process grades."""
    box = Sandbox(Limits(**dict(limits)))  # type: ignore[arg-type]
    atexit.register(box.close)
    return box


def _files_of(folder: Path) -> dict[str, bytes]:
    """What lies beside the notebooks: the images."""
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.suffix != ".ipynb" and path.stat().st_size <= FILE_BYTES
    }


def _shown(result: CellResult) -> list[NotebookNode]:
    outputs = [NotebookNode(output) for output in result.outputs]  # type: ignore[no-untyped-call]
    return outputs + ([_error(result.state, result.sentence)] if result.sentence else [])


def _error(name: str, sentence: str) -> NotebookNode:
    return new_output("error", ename=name, evalue=sentence, traceback=[sentence])  # type: ignore[no-untyped-call]
