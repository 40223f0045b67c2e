"""Reads what a student handed in: forgives honest slips and says so, refuses what cannot be graded.

Files come in all states from learning platforms and old editors. What can be read without a doubt
is read; everything else is one sentence for the instructor, and nothing of it is changed.
"""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_markdown_cell
from nbgrader.utils import parse_utc

from autograder.errors import CourseError
from autograder.repair import REPORT, ReleasedCell, repair, strange_kernel

NOTEBOOK_BYTES = 64 * 2**20
CELLS = 5000
TIMESTAMP = "timestamp.txt"
Released = Mapping[str, list[ReleasedCell]]


@dataclass(frozen=True)
class HandIn:
    """What a student handed in, as far as it can be graded.

    Args:
        notebooks: repaired, by name.
        timestamp: when it was handed in, as the file says it; "" if it does not.
        remarks: what an instructor should know.
    """

    notebooks: dict[str, NotebookNode]
    timestamp: str
    remarks: list[str]


def read(folder: Path, released: Released) -> HandIn:
    """Read a folder with a student's notebooks.

    Raises:
        CourseError: it cannot be graded; the sentence names the file and says what to do.
    """
    _refuse_links(folder)
    remarks, notebooks = [], {}
    paths, renamed = _paths(folder, released)
    for name, path in paths.items():
        notebook = _notebook(path)
        sentences = strange_kernel(notebook)
        if name in renamed:
            remarks.append(f"{path.name} was read as {name}.ipynb.")
            sentences.append(remarks[-1])
        sentences += repair(notebook, released[name])
        if sentences:
            report = "\n".join([REPORT, "", *(f"- {sentence}" for sentence in sentences)])
            notebook.cells.insert(0, new_markdown_cell(report))  # type: ignore[no-untyped-call]
        notebooks[name] = notebook
    missing = [f"{name}.ipynb" for name in released if name not in notebooks]
    if missing:
        remarks.append(f"{', '.join(missing)} is not handed in and earns 0.")
    return HandIn(notebooks, _timestamp(folder / TIMESTAMP), remarks)


def _refuse_links(folder: Path) -> None:
    for path in [folder, *sorted(folder.rglob("*"))]:
        if path.is_symlink():
            raise CourseError(
                f"{path} is a link to {path.readlink()}; it was not followed. "
                "Put the file itself there, or ask the student to upload it again."
            )


def _paths(folder: Path, released: Released) -> tuple[dict[str, Path], set[str]]:
    """The file of each notebook that is there, and which of them had another name."""
    paths = {name: folder / f"{name}.ipynb" for name in released}
    for path in paths.values():
        if path.is_dir():
            raise CourseError(
                f"{path} is a folder, not a notebook. Ask the student to upload the file again."
            )
    found = {name: path for name, path in paths.items() if path.is_file()}
    strays = [path for path in sorted(folder.glob("*.ipynb")) if path not in paths.values()]
    renamed: dict[str, Path] = {}
    for stray in strays:
        name = _belongs_to(stray, released)
        if name in renamed:
            raise CourseError(
                f"{renamed[name].name} and {stray.name} in {folder} both look like {name}.ipynb. "
                "Keep the one that counts, under that name."
            )
        if name and name not in found:
            renamed[name] = stray
    if not found and not renamed:
        holds = ", ".join(path.name for path in sorted(folder.iterdir())) or "nothing"
        raise CourseError(
            f"{folder} holds {holds}, but none of "
            f"{', '.join(path.name for path in paths.values())}. "
            "Ask the student for the notebooks, or give them their names back."
        )
    there = {**found, **renamed}
    return {name: there[name] for name in released if name in there}, set(renamed)


def _belongs_to(path: Path, released: Released) -> str:
    """The released notebook that has most cells in common with one of another name."""
    names = {
        str(cell.get("metadata", {}).get("nbgrader", {}).get("grade_id"))
        for cell in _notebook(path).cells
    }
    shared = {name: len(names & {cell.name for cell in cells}) for name, cells in released.items()}
    best = max(shared, key=lambda name: shared[name])
    return best if shared[best] else ""


def _notebook(path: Path) -> NotebookNode:
    """A notebook of any format up to 4, as one of format 4."""
    again = "Ask the student to upload it again."
    if path.stat().st_size > NOTEBOOK_BYTES:
        raise CourseError(
            f"{path} has {path.stat().st_size / 2**20:.0f} MiB, more than {NOTEBOOK_BYTES >> 20}. "
            "Ask the student to clear its outputs and upload it again."
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
        data: Any = json.loads(text)
        major = data["nbformat"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        reason = "it is empty" if not path.stat().st_size else f"{type(error).__name__}: {error}"
        raise CourseError(f"{path} cannot be read as a notebook ({reason}). {again}") from None
    if type(major) is not int or not 1 <= major <= nbformat.current_nbformat:
        raise CourseError(
            f"{path} is of notebook format {major!r}; up to {nbformat.current_nbformat} can be "
            "read. Open it in JupyterLab, save it as format 4, and grade again."
        )
    sheets = data.get("worksheets", [data]) if major < 4 else [data]
    try:
        count = sum(len(sheet["cells"]) for sheet in sheets)
        if count > CELLS:
            raise CourseError(f"{path} has {count} cells, more than {CELLS}. {again}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cells without an id
            notebook = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
            for cell in notebook.cells:
                _check(cell)
    except CourseError:
        raise
    except Exception as error:  # of any kind: the file may hold anything
        raise CourseError(
            f"{path} is not a notebook ({type(error).__name__}: {error}). {again}"
        ) from None
    return notebook


def _check(cell: NotebookNode) -> None:
    if not isinstance(cell.source, str) or not isinstance(cell.metadata, dict):
        raise ValueError("a cell without text")
    if not isinstance(cell.metadata.get("nbgrader", {}), dict):
        del cell.metadata["nbgrader"]
    if cell.cell_type == "code":
        cell.outputs, cell.execution_count = [], None


def _timestamp(path: Path) -> str:
    try:
        text = path.read_text("utf-8").strip() if path.is_file() else ""
        parse_utc(text or None)
    except (ValueError, OverflowError):
        raise CourseError(
            f"{path} holds no time: write the time of the hand-in into it, "
            'such as "2026-11-13 17:59:00 UTC", then grade again.'
        ) from None
    return text
