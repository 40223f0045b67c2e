"""Put a handed-in notebook back into the shape of the release, and say what was repaired.

Students copy, move, delete and relabel cells. A cell belongs to an exercise by its `grade_id`; an
answer that lost it is found by the name that it defines. Code is never thrown away: what belongs to
no exercise stays as an ordinary cell, and earns nothing whatever its metadata claim.
"""

import ast
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from nbgrader.api import Gradebook
from nbgrader.preprocessors import NbGraderPreprocessor

REPORT = "**Repaired before grading:**"


@dataclass(frozen=True)
class ReleasedCell:
    """A cell of the release that has a name.

    Args:
        name: its `grade_id`.
        cell_type: "code" or "markdown".
        source: as it was handed out.
        is_answer: whether the student writes in it.
        metadata: what nbgrader keeps with it.
    """

    name: str
    cell_type: str
    source: str
    is_answer: bool
    metadata: dict[str, Any]

    @property
    def is_test(self) -> bool:
        """Whether its output is marks."""
        return bool(self.metadata["grade"]) and not self.metadata["solution"]

    def again(self) -> NotebookNode:
        """The cell as it was handed out."""
        make = new_code_cell if self.cell_type == "code" else new_markdown_cell
        cell: NotebookNode = make(self.source)  # type: ignore[no-untyped-call]
        cell.metadata["nbgrader"] = dict(self.metadata)
        return cell


class RepairSubmission(NbGraderPreprocessor):  # type: ignore[misc]
    """The first step of `nbgrader autograde`."""

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        about = resources["nbgrader"]
        with Gradebook(about["db_url"]) as gradebook:
            book = gradebook.find_notebook(about["notebook"], about["assignment"])
            released = released_cells(book)
        sentences = repair(nb, released)
        if sentences:
            report = "\n".join([REPORT, "", *(f"- {sentence}" for sentence in sentences)])
            nb.cells.insert(0, new_markdown_cell(report))  # type: ignore[no-untyped-call]
        return nb, resources


def released_cells(book: Any) -> list[ReleasedCell]:
    """The cells of a notebook in the gradebook."""
    return [_released(cell, book) for cell in book.source_cells]


def strange_kernel(notebook: NotebookNode) -> list[str]:
    """A sentence if a notebook was saved for another language."""
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    if language == "python":
        return []
    return [f"The notebook was saved for a kernel of {language}; it is graded with Python."]


def repair(notebook: NotebookNode, released: list[ReleasedCell]) -> list[str]:
    """Give `notebook` each released cell once and in order; a sentence for each repair."""
    sentences = []
    claims: dict[str, list[NotebookNode]] = defaultdict(list)
    for cell in notebook.cells:
        claims[_name(cell)].append(cell)
    owners: dict[str, NotebookNode] = {}
    for original in released:
        found = claims[original.name]
        if not found and original.is_answer and original.cell_type == "code":
            found = _defining(original, notebook, {cell.name for cell in released})
            if found:
                sentences.append(f"The answer {original.name} was found by the name it defines.")
        if not found:
            owners[original.name] = original.again()
            sentences.append(f"The cell {original.name} was missing; it is back as handed out.")
            continue
        changed = [cell for cell in found if cell.source.strip() != original.source.strip()]
        owners[original.name] = chosen = (changed or found)[-1]
        chosen.metadata["nbgrader"] = dict(original.metadata)
        if chosen.cell_type != original.cell_type:
            owners[original.name] = _as(original, chosen, notebook)
            sentences.append(f"The cell {original.name} had become a {chosen.cell_type} cell.")
        if not original.is_answer:
            owners[original.name].source = original.source
        if len(found) > 1:
            sentences.append(
                f"The cell {original.name} came {len(found)} times; the last changed one counts."
            )
    kept = {id(cell) for cell in owners.values()}
    for cell in notebook.cells:
        if id(cell) not in kept:
            cell.metadata.pop("nbgrader", None)
    if _in_order(notebook, owners, released):
        sentences.append("Cells had been moved; they are back in the order of the release.")
    return sentences


def _as(original: ReleasedCell, cell: NotebookNode, notebook: NotebookNode) -> NotebookNode:
    """The same text in a cell of the right kind, in its place."""
    made = original.again()
    made.source = cell.source
    place = next(place for place, one in enumerate(notebook.cells) if one is cell)
    notebook.cells[place] = made
    return made


def _in_order(
    notebook: NotebookNode, owners: dict[str, NotebookNode], released: list[ReleasedCell]
) -> bool:
    """Sort the released cells, each with the ordinary cells after it; whether any had moved."""
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


def _defining(
    original: ReleasedCell, notebook: NotebookNode, names: set[str]
) -> list[NotebookNode]:
    """Cells without a name of the release that define what the answer should."""
    wanted = _definitions(original.source)
    return [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and _name(cell) not in names
        if wanted & _definitions(cell.source)
    ]


def _definitions(source: str) -> set[str]:
    """Functions and classes defined at the top of a cell; none if it cannot be parsed."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {node.name for node in body if isinstance(node, kinds)}


def _name(cell: NotebookNode) -> str:
    metadata = cell.metadata.get("nbgrader")
    name = metadata.get("grade_id") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""


def _released(cell: Any, book: Any) -> ReleasedCell:
    """A source cell of the gradebook."""
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
