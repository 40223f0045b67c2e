"""Restores the structure of the released notebook in a submission, and reports what was repaired.

Students copy, move, delete and relabel cells. A cell belongs to an exercise by its `grade_id`; an
answer that lost its `grade_id` is found by the name that it defines. Code is never thrown away: a
cell that belongs to no exercise stays as an ordinary cell. Marks or locks in its metadata are
ignored.
"""

import ast
import re
import warnings
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from secrets import token_hex
from typing import Any

from nbformat import from_dict
from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from nbgrader.api import Gradebook
from nbgrader.preprocessors import NbGraderPreprocessor

REPORT = "**Repaired before grading:**"
# The most characters of a cell that is parsed; a syntax tree takes a hundred times its text.
ANSWER = 200_000
CELL_TYPES = ("code", "markdown", "raw")
CELL_ID = re.compile(r"[\w-]{1,64}", re.ASCII)


@dataclass(frozen=True)
class ReleasedCell:
    """A named cell of the released notebook.

    Args:
        name: its `grade_id`.
        cell_type: "code" or "markdown".
        source: its text in the release.
        is_answer: whether the student writes in it.
        metadata: nbgrader's metadata of the cell.
    """

    name: str
    cell_type: str
    source: str
    is_answer: bool
    metadata: dict[str, Any]

    @property
    def is_test(self) -> bool:
        """Whether the output of the cell is its marks."""
        return bool(self.metadata["grade"]) and not self.metadata["solution"]

    def as_released(self) -> NotebookNode:
        """A new cell with the text of the release."""
        make = new_code_cell if self.cell_type == "code" else new_markdown_cell
        cell: NotebookNode = make(self.source)  # type: ignore[no-untyped-call]
        cell.metadata["nbgrader"] = dict(self.metadata)
        return cell


class RepairSubmission(NbGraderPreprocessor):  # type: ignore[misc]
    """The first step of `nbgrader autograde`: repairs a submission."""

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        about = resources["nbgrader"]
        with Gradebook(about["db_url"]) as gradebook:
            book = gradebook.find_notebook(about["notebook"], about["assignment"])
            released = released_cells(book)
        notebook, sentences = sanitized(nb)
        add_report(notebook, sentences + repair(notebook, released))
        return notebook, resources


def released_cells(book: Any) -> list[ReleasedCell]:
    """The released cells of a notebook, from the gradebook."""
    return [_released(cell, book) for cell in book.source_cells]


def add_report(notebook: NotebookNode, sentences: list[str]) -> None:
    """Put a cell at the top of a notebook that lists what was repaired, if anything was."""
    if sentences:
        report = "\n".join([REPORT, "", *(f"- {sentence}" for sentence in sentences)])
        notebook.cells.insert(0, new_markdown_cell(report))  # type: ignore[no-untyped-call]


def sanitized(notebook: Mapping[str, Any]) -> tuple[NotebookNode, list[str]]:
    """Rebuild a notebook of format 4 from the parts that grading needs.

    Everything else that a file may hold, of any type, could stop a program that reads it later.

    Returns:
        The notebook, and a sentence for each change that matters.

    Raises:
        ValueError: a cell is not valid; the message names the cell.
    """
    sentences = _other_kernel(notebook.get("metadata"))
    cells = []
    for number, cell in enumerate(notebook["cells"], start=1):
        made, is_whole = _sanitized(cell, number)
        cells.append(made)
        if not is_whole:
            sentences.append(
                f"Cell {number} had characters that cannot be saved; each is a question mark now."
            )
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    rebuilt = _node({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells})
    return rebuilt, sentences


def _sanitized(cell: Any, number: int) -> tuple[dict[str, Any], bool]:
    """The text, type and name of a cell, and whether the text could be kept unchanged."""
    if not isinstance(cell, Mapping) or cell.get("cell_type") not in CELL_TYPES:
        raise ValueError(f"cell {number} is of an unknown type")
    source = cell.get("source")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise ValueError(f"cell {number} has no text")
    text = _writable(source)
    made: dict[str, Any] = {"cell_type": cell["cell_type"], "metadata": {}, "source": text}
    if name := _name(cell):
        made["metadata"]["nbgrader"] = {"grade_id": _writable(name)}
    if isinstance(cell.get("id"), str):
        made["id"] = cell["id"]
    if cell["cell_type"] == "code":
        made |= {"outputs": [], "execution_count": None}
    elif pasted := _attachments(cell.get("attachments")):
        made["attachments"] = pasted
    return made, text == source


def _attachments(attachments: Any) -> dict[str, dict[str, str]]:
    """The valid attachments of a text cell, by name and type."""
    if not isinstance(attachments, Mapping):
        return {}
    return {
        _writable(name): {_writable(kind): _writable(text) for kind, text in forms.items()}
        for name, forms in attachments.items()
        if isinstance(forms, Mapping)
        if all(isinstance(text, str) for text in forms.values())
    }


def _node(fields: dict[str, Any]) -> NotebookNode:
    made: NotebookNode = from_dict(fields)  # type: ignore[no-untyped-call]
    return made


def _writable(text: str) -> str:
    """Text that can be saved: JSON may hold lone surrogates, which become question marks."""
    return text.encode(errors="replace").decode()


def _other_kernel(metadata: Any) -> list[str]:
    """A sentence if a notebook was saved for another language."""
    kernel = metadata.get("kernelspec") if isinstance(metadata, Mapping) else None
    language = kernel.get("language", "python") if isinstance(kernel, Mapping) else "python"
    if not isinstance(language, str) or language == "python":
        return []
    name = _writable(language[:40])
    return [f"The notebook was saved for a kernel of {name}; it is graded with Python."]


def repair(notebook: NotebookNode, released: list[ReleasedCell]) -> list[str]:
    """Give a notebook every released cell once and in order.

    Args:
        notebook: the notebook, which is changed.
        released: the cells of the release.

    Returns:
        A sentence for each repair.
    """
    sentences = []
    names = {cell.name for cell in released}
    definitions = cache(_definitions)  # every missing answer is looked for in the same cells
    named: dict[str, list[NotebookNode]] = defaultdict(list)
    for cell in notebook.cells:
        named[_name(cell)].append(cell)
    nameless = [
        cell for cell in notebook.cells if cell.cell_type == "code" and _name(cell) not in names
    ]
    owners: dict[str, NotebookNode] = {}
    for original in released:
        found = named[original.name]
        if not found and original.is_answer and original.cell_type == "code":
            wanted = definitions(original.source)
            found = [cell for cell in nameless if wanted & definitions(cell.source)]
            if found:
                sentences.append(f"The answer {original.name} was found by the name it defines.")
        if not found:
            owners[original.name] = original.as_released()
            sentences.append(f"The cell {original.name} was missing and is restored.")
            continue
        changed = [cell for cell in found if cell.source.strip() != original.source.strip()]
        chosen = (changed or found)[-1]
        if any(chosen is other for other in owners.values()):
            # The cell defines what two answers should define; each of them gets a copy.
            chosen = _node({**chosen, "metadata": {}})
        owners[original.name] = chosen
        chosen.metadata["nbgrader"] = dict(original.metadata)
        if chosen.cell_type != original.cell_type:
            owners[original.name] = _as(original, chosen, notebook)
            sentences.append(
                f"The cell {original.name} was a {chosen.cell_type} cell and is "
                f"{original.cell_type} again."
            )
        if not original.is_answer:
            owners[original.name].source = original.source
        if len(found) > 1:
            sentences.append(
                f"The cell {original.name} occurs {len(found)} times; the last changed one counts."
            )
    kept = {id(cell) for cell in owners.values()}
    for cell in notebook.cells:
        if id(cell) not in kept:
            cell.metadata.pop("nbgrader", None)
    if _in_order(notebook, owners, released):
        sentences.append("Cells were not in the order of the release and have been moved back.")
    if count := _without_id(notebook):
        sentences.append(f"Cells without an id of their own got one ({count}).")
    return sentences


def _without_id(notebook: NotebookNode) -> int:
    """Give each cell a unique id; return how many cells got a new one."""
    seen: set[str] = set()
    count = 0
    for cell in notebook.cells:
        if cell.get("id") in seen or not CELL_ID.fullmatch(cell.get("id", "")):
            count += 1
            while cell.get("id") in seen or not CELL_ID.fullmatch(cell.get("id", "")):
                cell.id = token_hex(4)
        seen.add(cell.id)
    return count


def _as(original: ReleasedCell, cell: NotebookNode, notebook: NotebookNode) -> NotebookNode:
    """Replace a cell by a cell of the released type with the same text."""
    made = original.as_released()
    made.source = cell.source
    place = next(place for place, one in enumerate(notebook.cells) if one is cell)
    notebook.cells[place] = made
    return made


def _in_order(
    notebook: NotebookNode, owners: dict[str, NotebookNode], released: list[ReleasedCell]
) -> bool:
    """Sort the released cells, each with the ordinary cells after it; return whether any moved."""
    names = {id(cell): name for name, cell in owners.items()}
    groups: dict[str, list[NotebookNode]] = defaultdict(list)
    current = ""
    for cell in notebook.cells:
        current = names.get(id(cell), current)
        groups[current].append(cell)
    before = [name for name in groups if name]
    order = [cell.name for cell in released]
    for name in order:
        groups[name] = groups[name] or [owners[name]]
    notebook.cells = [cell for name in ["", *order] for cell in groups[name]]
    return before != [name for name in order if name in before]


def _definitions(source: str) -> set[str]:
    """The names of top-level functions and classes of a cell; empty if it cannot be parsed."""
    if len(source) > ANSWER:
        return set()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the parser warns of doubtful code
            body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {node.name for node in body if isinstance(node, kinds)}


def _name(cell: Mapping[str, Any]) -> str:
    metadata = cell.get("metadata")
    about = metadata.get("nbgrader") if isinstance(metadata, Mapping) else None
    name = about.get("grade_id") if isinstance(about, Mapping) else None
    return name if isinstance(name, str) else ""


def _released(cell: Any, book: Any) -> ReleasedCell:
    """Convert a source cell of the gradebook."""
    graded = {grade.name: grade.max_score for grade in book.grade_cells}
    tasks = {task.name: task.max_score for task in book.task_cells}
    solutions = {solution.name for solution in book.solution_cells}
    metadata = {
        "grade_id": cell.name,
        "grade": cell.name in graded,
        "solution": cell.name in solutions,
        "locked": bool(cell.locked),
        "task": cell.name in tasks,
        "schema_version": 3,
        "cell_type": cell.cell_type,
        "checksum": cell.checksum,
    }
    if cell.name in graded or cell.name in tasks:
        metadata["points"] = {**tasks, **graded}[cell.name]
    return ReleasedCell(cell.name, cell.cell_type, cell.source, not cell.locked, metadata)
