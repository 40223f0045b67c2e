"""Samples: submissions with known marks, made from the released notebooks and a few answers.

A sample is a folder with two files. `answers.toml` holds the answers:

    start = "source"      # begin with the instructor's answers; "release" begins with none
    notebooks = ["3_…"]   # submit only these notebooks; by default all

    [bank]                # for an exercise, the name of a variant or mutant of the bank
    basic_block = "ReLU before the addition"

    [cells]               # for the id of a cell, its source
    own_plot = "plt.plot(losses)"

`marks.toml` holds the marks that it must get: `total`, `others` ("full" or 0) and, under
`[exercises]`, the exercises with other marks. The marks under `[by_hand]` are those of written
answers and are entered into the gradebook; a written answer without a mark is "by hand".
"""

import json
import tomllib
from pathlib import Path
from typing import Any

from autograder.authoring.bank import BankEntry, load
from autograder.authoring.leaks import REGION
from autograder.course.folder import Course, read_notebook
from autograder.course.release import generate
from autograder.errors import CourseError
from autograder.grading.grade import Outcome, grade
from autograder.grading.gradebook import MarkBook
from autograder.sandbox.box import SandboxError

ANSWERS, MARKS = "answers.toml", "marks.toml"
KEYS = {
    ANSWERS: {"start", "notebooks", "bank", "cells"},
    MARKS: {"total", "others", "exercises", "by_hand"},
}
MARKING_SCHEME = "**Marking scheme"
BY_HAND = "by hand"


def grade_samples(course: Course, assignment: str, scratch: Path) -> tuple[Outcome, list[str]]:
    """Release and grade the samples in a scratch copy of the course.

    Returns:
        The outcome, and a sentence for each mark that differs from `marks.toml`.

    Raises:
        CourseError: there are no samples, or one of them cannot be made.
    """
    return grade_staged(stage(course, assignment, scratch), assignment)


def stage(course: Course, assignment: str, scratch: Path) -> Course:
    """Make a scratch copy of the course, release it, and submit every sample.

    Raises:
        CourseError: there are no samples, or one of them cannot be made.
    """
    if not course.samples():
        raise CourseError(f"{course.root / 'samples'} has no sample with a {MARKS}.")
    staged = course.staged(scratch)
    bank = {(entry.exercise, entry.name): entry for entry in load(staged, assignment)}
    instructors = instructors_answers(staged, assignment)
    samples = {name: _read(folder / ANSWERS) for name, folder in staged.samples().items()}
    cells = {name: _cells(name, sample, instructors, bank) for name, sample in samples.items()}
    generate(staged, assignment)
    for name, sample in samples.items():
        _submit(
            name,
            cells[name],
            sample.get("notebooks"),
            staged.released(assignment),
            staged.root / "submitted" / name / assignment,
        )
    return staged


def grade_staged(staged: Course, assignment: str) -> tuple[Outcome, list[str]]:
    """Grade the submissions that `stage` made.

    Returns:
        The outcome, and a sentence for each mark that differs from `marks.toml`.
    """
    try:
        outcome = grade(staged, assignment)
    except SandboxError as error:
        outcome = grade(staged, assignment, sandbox=False)
        outcome.outside_sandbox = (
            f"{error} The samples are the course's own, so they were graded without it."
        )
    book = MarkBook(staged.db_url, assignment)
    differences = []
    for name, folder in staged.samples().items():
        if name in outcome.marks:
            written = _read(folder / MARKS)
            book.give_by_hand(name, written.get("by_hand", {}))
            outcome.marks[name] = book.entries(name)[name].marks
            differences += [f"{name}: {text}" for text in _differences(written, name, outcome)]
    return outcome, differences


def _differences(written: dict[str, Any], name: str, outcome: Outcome) -> list[str]:
    """Return a sentence for each mark of a sample that differs from its `marks.toml`."""
    marks, out_of = outcome.marks[name], outcome.out_of
    others = out_of if written["others"] == "full" else dict.fromkeys(out_of, written["others"])
    wanted = {**others, **written.get("by_hand", {}), **written.get("exercises", {})}
    given = {key: BY_HAND if mark is None else mark for key, mark in marks.exercises.items()}
    wanted["total"], given["total"] = written["total"], marks.total
    return [
        f"{exercise} is {_show(given.get(exercise, 'not an exercise'))}, "
        f"but {MARKS} says {_show(mark)}."
        for exercise, mark in wanted.items()
        if given.get(exercise) != mark
    ]


def _cells(
    sample: str,
    answers: dict[str, Any],
    instructors: dict[str, str],
    bank: dict[tuple[str, str], BankEntry],
) -> dict[str, str]:
    """Return the answers of a sample: the source of each answered cell, by its id."""
    if answers.get("start") not in ("source", "release"):
        raise CourseError(f'The sample {sample} needs start = "source" or start = "release".')
    cells = dict(instructors) if answers["start"] == "source" else {}
    for exercise, entry in answers.get("bank", {}).items():
        if (exercise, entry) not in bank:
            known = ", ".join(repr(name) for other, name in bank if other == exercise)
            raise CourseError(
                f"The sample {sample} uses {entry!r} for {exercise}, which is not in the bank. "
                f"The bank has: {known or 'nothing'}."
            )
        cells |= _changed(bank[exercise, entry], instructors)
    return cells | answers.get("cells", {})


def _submit(
    sample: str,
    cells: dict[str, str],
    notebooks: list[str] | None,
    released: Path,
    target: Path,
) -> None:
    """Write the notebooks of a sample: the released ones, or those named, with its answers."""
    written = set()
    target.mkdir(parents=True)
    for path in sorted(released.glob("*.ipynb")):
        notebook = read_notebook(path)
        for cell in notebook["cells"]:
            if cell["id"] in cells:
                cell["source"] = cells[cell["id"]]
                written.add(cell["id"])
        if notebooks is None or path.name in notebooks:
            (target / path.name).write_text(json.dumps(notebook, indent=1), "utf-8")
    if not any(target.iterdir()):
        raise CourseError(f"The sample {sample} submits none of the released notebooks.")
    if strange := cells.keys() - written:
        raise CourseError(
            f"The sample {sample} answers {', '.join(sorted(strange))}, "
            "which is not a cell of a released notebook."
        )


def _changed(entry: BankEntry, instructors: dict[str, str]) -> dict[str, str]:
    """Return the cells in which an entry of the bank differs from the instructor's answers."""
    cells = {f"{name}_answer": _without_markers(code) for name, code in entry.notebook.items()}
    return {cell: code for cell, code in cells.items() if instructors.get(cell, code) != code}


def instructors_answers(course: Course, assignment: str) -> dict[str, str]:
    """Return the instructor's answers in the source notebooks, by the id of the cell."""
    return {
        cell["id"]: _without_markers("".join(cell["source"]))
        for path in course.notebooks(assignment)
        for cell in read_notebook(path)["cells"]
        if cell["metadata"].get("nbgrader", {}).get("solution")
    }


def _without_markers(text: str) -> str:
    """Remove the markers of nbgrader and the marking scheme from an answer."""
    lines = [line for line in text.splitlines() if not REGION.search(line)]
    return "\n".join(lines).partition(MARKING_SCHEME)[0].strip()


def _read(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise CourseError(f"{path} cannot be read ({error}).") from None
    if unknown := content.keys() - KEYS[path.name]:
        raise CourseError(f"{path}: unknown key {', '.join(sorted(unknown))}.")
    return content


def _show(mark: float | str) -> str:
    return mark if isinstance(mark, str) else f"{mark:g}"
