"""The bank of mutants (wrong answers that students write) and variants (right ones): tests of the
hidden tests.

`mutants/EXERCISE.toml` holds them, each as a small change of the answer in the source notebook, or
as an answer of its own. Every variant must get full marks. Every mutant must lose marks, and must
be told its own sentence. A table `stand_in` replaces answers that take long, such as a training, in
all entries.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.checks import EXERCISES, check
from autograder.checks.verdict import Verdict
from autograder.course.folder import Course, read_notebook
from autograder.errors import CourseError

FOLDER = Path(__file__).parent / "mutants"
SOURCE = "the answer in the source notebook"
KEYS = {"name", "source", "replace", "says", "least"}


@dataclass(frozen=True)
class BankEntry:
    """A mutant or a variant.

    Args:
        exercise: its exercise.
        name: what is special about it, in a few words.
        notebook: the code of its notebook's answers, by exercise, with the change made.
        says: words of the sentence that a mutant must be told; `None` for a variant.
        least: share of the marks that a nearly right mutant must keep.
    """

    exercise: str
    name: str
    notebook: dict[str, str]
    says: str | None = None
    least: float = 0.0

    def verdict(self, seed: int = 0) -> Verdict:
        """What the hidden tests find."""
        space: dict[str, Any] = {"__name__": "student"}
        code = compile("\n\n".join(self.notebook.values()), f"<{self.name}>", "exec")
        try:
            exec(code, space)
        except Exception as error:
            raise CourseError(
                f"{self.exercise}, {self.name}: the notebook's answers cannot be run in a row "
                f"({type(error).__name__}: {error}). One that needs other cells, such as a "
                "training, needs a stand_in in the bank."
            ) from error
        asked = EXERCISES[self.exercise]
        return check(self.exercise, *(space[name] for name in asked.answers), seed=seed)


@dataclass(frozen=True)
class Judged:
    """An entry and what became of it."""

    entry: BankEntry
    verdict: Verdict

    @property
    def problem(self) -> str | None:
        """What is wrong with the hidden tests, if anything."""
        marks, out_of, said = self.verdict.marks, self.verdict.out_of, self.verdict.sentences
        if self.entry.says is None:
            return (
                f"a right answer gets {marks:g} of {out_of:g}: {said}" if marks < out_of else None
            )
        if marks == out_of:
            return "a wrong answer gets all marks"
        if not self.is_named:
            return f"is not told {self.entry.says!r} but {said}"
        if marks < self.entry.least * out_of:
            return f"keeps {marks:g} of {out_of:g}, which is less than {self.entry.least:.0%}"
        return None

    @property
    def is_named(self) -> bool:
        """Whether a mutant is told its own sentence."""
        return any((self.entry.says or "") in sentence for sentence in self.verdict.sentences)


def load(course: Course, assignment: str, folder: Path = FOLDER) -> list[BankEntry]:
    """All entries of the bank, exercise by exercise, in the notebooks' order.

    Raises:
        CourseError: an entry cannot be made; the sentence says which and why.
    """
    return [
        entry
        for exercise, answers in _answers(course, assignment)
        for entry in _entries(exercise, answers, folder / f"{exercise}.toml")
    ]


def judge(entry: BankEntry, seed: int = 0) -> Judged:
    """Run the hidden tests on an entry."""
    return Judged(entry, entry.verdict(seed))


def _answers(course: Course, assignment: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each exercise, and the code of all answers in its notebook, by the cells' names."""
    for path in course.notebooks(assignment):
        cells = [
            (cell["metadata"].get("nbgrader", {}), "".join(cell["source"]))
            for cell in read_notebook(path)["cells"]
            if cell["cell_type"] == "code"
        ]
        code = {
            meta["grade_id"].removesuffix("_answer"): text
            for meta, text in cells
            if meta.get("solution") or meta.get("grade_id", "").startswith("imports")
        }
        for name in code:
            if name in EXERCISES:
                yield name, code


def _entries(exercise: str, notebook: dict[str, str], path: Path) -> Iterator[BankEntry]:
    if not path.is_file():
        raise CourseError(f"{exercise} has no bank: write {path}.")
    try:
        bank = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise CourseError(f"{path} cannot be read ({error}).") from None
    stand_in = bank.pop("stand_in", {})
    if unknown := stand_in.keys() - notebook.keys():
        raise CourseError(f"{path.name}: there is no {', '.join(sorted(unknown))} to stand in for.")
    notebook = notebook | stand_in
    yield BankEntry(exercise, SOURCE, notebook)
    for kind in ("variant", "mutant"):
        for item in bank.pop(kind, []):
            where = f"{path.name}, {kind} {item.get('name')!r}"
            if unknown := item.keys() - KEYS:
                raise CourseError(f"{where}: {', '.join(sorted(unknown))} is not known.")
            if (kind == "mutant") != ("says" in item):
                raise CourseError(f"{where}: a mutant says what it is told, a variant does not.")
            changed = notebook | {exercise: item.get("source", notebook[exercise])}
            for change in item.get("replace", []):
                target = change.get("in", exercise)
                if change["old"] not in changed[target]:
                    raise CourseError(f"{where}: the answer to {target} has no {change['old']!r}.")
                changed[target] = changed[target].replace(change["old"], change["new"])
            if changed == notebook:
                raise CourseError(f"{where} changes nothing.")
            yield BankEntry(
                exercise, item["name"], changed, item.get("says"), item.get("least", 0.0)
            )
    if bank:
        raise CourseError(f"{path.name}: {', '.join(bank)} is neither mutant nor variant.")
