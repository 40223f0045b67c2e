"""Reads a submission: accepts and reports honest slips, and refuses what cannot be graded.

Files from learning platforms and old editors come in many conditions. What can be read without
doubt is read. Everything else becomes one sentence for the instructor, and no file is changed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat.notebooknode import NotebookNode
from nbgrader.utils import parse_utc

from autograder.errors import CourseError
from autograder.submissions.repair import ReleasedCell, add_report, repair, sanitized

# Limits of a notebook: bytes of the file, cells, and characters in all cells.
NOTEBOOK_BYTES = 64 * 2**20
CELLS = 5000
TEXT = 4 * 2**20
TIMESTAMP = "timestamp.txt"
Released = Mapping[str, list[ReleasedCell]]


@dataclass(frozen=True)
class Submission:
    """A student's submission, ready to be graded.

    Args:
        notebooks: the repaired notebooks, by name.
        timestamp: the time of the submission as its timestamp file has it; "" without the file.
        remarks: sentences about repairs and missing notebooks, for the instructor.
    """

    notebooks: dict[str, NotebookNode]
    timestamp: str
    remarks: list[str]


def read(folder: Path, released: Released) -> Submission:
    """Read a submission from its folder.

    Args:
        folder: the folder of the student's notebooks.
        released: the cells of each released notebook, by name.

    Raises:
        CourseError: it cannot be graded; the message names the file and says what to do.
    """
    try:
        return _read(folder, released)
    except OSError as error:
        raise CourseError(
            f"{error.filename or folder} cannot be read ({error.strerror}): give yourself "
            f"permission (chmod -R u+rX {folder}), then grade again."
        ) from None


def _read(folder: Path, released: Released) -> Submission:
    _refuse_unreadable(folder)
    remarks, notebooks = [], {}
    paths, renamed = _paths(folder, released)
    for name, path in paths.items():
        notebook, sentences = _notebook(path)
        remarks += [f"{path.name}: {sentence}" for sentence in sentences]
        if name in renamed:
            remarks.append(f"{path.name} was read as {name}.ipynb.")
            sentences.append(remarks[-1])
        add_report(notebook, sentences + repair(notebook, released[name]))
        notebooks[name] = notebook
    missing = [f"{name}.ipynb" for name in released if name not in notebooks]
    if missing:
        remarks.append(f"Missing, so without marks: {', '.join(missing)}.")
    return Submission(notebooks, _timestamp(folder / TIMESTAMP), remarks)


def _refuse_unreadable(folder: Path) -> None:
    """Refuse links, names that cannot be printed, and anything that is not a folder."""
    for path in [folder.parent, folder, *sorted(folder.rglob("*"))]:
        if path.is_symlink():
            raise CourseError(
                f"{_shown(path)} is a link to {_shown(path.readlink())}, which is not followed: "
                "put the file itself in its place, or ask the student to upload it again."
            )
        if _shown(path) != str(path):
            raise CourseError(
                f"The name of {_shown(path)} has bytes that are not text: rename it, then grade "
                "again."
            )
    if folder.is_dir():
        return
    if folder.exists():
        raise CourseError(
            f"{folder} is a file, not a folder: make a folder of this name with the student's "
            "notebooks (unpack them if they are in an archive)."
        )
    if not folder.parent.is_dir():
        raise CourseError(
            f"{folder.parent} is a file: put the student's notebooks into "
            f"{folder.parent.with_name('STUDENT') / folder.name}/, then remove it."
        )
    holds = ", ".join(sorted(path.name for path in folder.parent.iterdir())) or "nothing"
    raise CourseError(
        f"There is no {folder} ({folder.parent.name} holds {holds}): put the student's notebooks "
        f"there, or remove the folder {folder.parent.name}."
    )


def _shown(path: Path) -> str:
    """A path as text that can be printed."""
    return str(path).encode(errors="replace").decode()


def _paths(folder: Path, released: Released) -> tuple[dict[str, Path], set[str]]:
    """The file of each submitted notebook by name, and the names of those that were renamed."""
    paths = {name: folder / f"{name}.ipynb" for name in released}
    for path in paths.values():
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "something else"
            raise CourseError(
                f"{path} is {kind}, not a notebook: ask the student to upload the file again."
            )
    found = {name: path for name, path in paths.items() if path.is_file()}
    if len(found) == len(paths):
        return found, set()
    strays = [path for path in sorted(folder.glob("*.ipynb")) if path not in paths.values()]
    renamed: dict[str, Path] = {}
    for stray in strays:
        name = _belongs_to(stray, released)
        if name in renamed:
            raise CourseError(
                f"{renamed[name].name} and {stray.name} in {folder} both look like {name}.ipynb: "
                "keep only the one that counts, under that name."
            )
        if name and name not in found:
            renamed[name] = stray
    if not found and not renamed:
        holds = ", ".join(path.name for path in sorted(folder.iterdir())) or "nothing"
        raise CourseError(
            f"{folder} holds {holds}, but none of "
            f"{', '.join(path.name for path in paths.values())}: ask the student for the "
            "notebooks, or give the files these names."
        )
    there = {**found, **renamed}
    return {name: there[name] for name in released if name in there}, set(renamed)


def _belongs_to(path: Path, released: Released) -> str:
    """The released notebook that shares most cells with a renamed one; "" if none does."""
    notebook, _ = _notebook(path)
    names = {cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells}
    shared = {name: len(names & {cell.name for cell in cells}) for name, cells in released.items()}
    best = max(shared, key=lambda name: shared[name])
    return best if shared[best] else ""


def _notebook(path: Path) -> tuple[NotebookNode, list[str]]:
    """Read a notebook of any format up to 4; return it with a sentence for each change."""
    again = "ask the student to upload it again."
    if path.stat().st_size > NOTEBOOK_BYTES:
        raise CourseError(
            f"{path} has {path.stat().st_size / 2**20:.0f} MiB, more than {NOTEBOOK_BYTES >> 20}: "
            "ask the student to clear its outputs and upload it again."
        )
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
        data: Any = json.loads(text)
        major = data["nbformat"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}" if content else "it is empty"
        raise CourseError(f"{path} cannot be read as a notebook ({reason}): {again}") from None
    if type(major) is not int or not 1 <= major <= nbformat.current_nbformat:
        raise CourseError(
            f"{path} has notebook format {ascii(major)[:40]}, which cannot be read: open it in "
            "JupyterLab, save it as format 4, and grade again."
        )
    try:
        sheets = data.get("worksheets", [data]) if major < 4 else [data]
        count = sum(len(sheet["cells"]) for sheet in sheets)
        if count > CELLS:
            raise CourseError(f"{path} has {count} cells, more than {CELLS}: {again}")
        if major < 4:
            data = nbformat.convert(nbformat.reader.reads(text), 4)  # type: ignore[no-untyped-call]
        notebook, sentences = sanitized(data)
    except CourseError:
        raise
    except Exception as error:  # the file may hold anything
        reason = f"{type(error).__name__}: {error}".encode(errors="replace").decode()
        raise CourseError(f"{path} is not a valid notebook ({reason[:200]}): {again}") from None
    length = sum(len(cell.source) for cell in notebook.cells)
    if length > TEXT:
        raise CourseError(
            f"{path} has {length} characters in its cells, more than {TEXT}: ask the student to "
            "remove what does not belong to an answer and upload it again."
        )
    return notebook, sentences


def _timestamp(path: Path) -> str:
    try:
        text = path.read_text("utf-8").strip() if path.is_file() else ""
        parse_utc(text or None)
    except (ValueError, OverflowError):
        raise CourseError(
            f"{path} does not hold a time: write the time of the submission into it, "
            'such as "2026-11-13 17:59:00 UTC", then grade again.'
        ) from None
    return text
