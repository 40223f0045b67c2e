"""The bank of answers that tests the hidden tests: mutants are wrong, variants are correct.

`mutants/EXERCISE.toml` holds the entries of an exercise. An entry is a change of the answer in the
source notebook, or a complete answer. Every variant must get full marks. Every mutant must lose
marks, and its sentence must be among those that the student is told. The table `stand_in` replaces
slow answers, such as a training, in all entries of the file.
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
        exercise: the name of its exercise.
        name: a short description.
        notebook: the code of all answers in its notebook, by exercise, with the change made.
        says: words of the sentence that belongs to a mutant; `None` for a variant.
        least: the fraction of the marks that a nearly correct mutant must keep.
    """

    exercise: str
    name: str
    notebook: dict[str, str]
    says: str | None = None
    least: float = 0.0

    def verdict(self, seed: int = 0) -> Verdict:
        """Run the hidden tests on the answer.

        Args:
            seed: seeds inputs and weights.

        Raises:
            CourseError: the code of the notebook cannot be run.
        """
        space: dict[str, Any] = {"__name__": "student"}
        code = compile("\n\n".join(self.notebook.values()), f"<{self.name}>", "exec")
        try:
            exec(code, space)
        except Exception as error:
            raise CourseError(
                f"{self.exercise}, {self.name}: the answers of the notebook cannot be run in "
                f"sequence ({type(error).__name__}: {error}). An answer that needs other cells, "
                "such as a training, needs a stand_in in the bank."
            ) from error
        asked = EXERCISES[self.exercise]
        return check(self.exercise, *(space[name] for name in asked.answers), seed=seed)


@dataclass(frozen=True)
class Judged:
    """An entry of the bank, and the verdict of the hidden tests on it."""

    entry: BankEntry
    verdict: Verdict

    @property
    def problem(self) -> str | None:
        """What the verdict shows to be wrong with the hidden tests; `None` if nothing is."""
        marks, out_of, said = self.verdict.marks, self.verdict.out_of, self.verdict.sentences
        if self.entry.says is None:
            return (
                f"a correct answer gets {marks:g} of {out_of:g}: {said}" if marks < out_of else None
            )
        if marks == out_of:
            return "a wrong answer gets full marks"
        if not self.is_named:
            return f"the sentences do not contain {self.entry.says!r}: {said}"
        if marks < self.entry.least * out_of:
            return f"it keeps {marks:g} of {out_of:g}, which is less than {self.entry.least:.0%}"
        return None

    @property
    def is_named(self) -> bool:
        """Whether the sentence of a mutant is among those of the verdict."""
        return any((self.entry.says or "") in sentence for sentence in self.verdict.sentences)


def load(course: Course, assignment: str, folder: Path = FOLDER) -> list[BankEntry]:
    """Load all entries of the bank, exercise by exercise, in the order of the notebooks.

    Args:
        course: the course whose source notebooks the entries change.
        assignment: the name of the assignment.
        folder: the folder of the bank.

    Raises:
        CourseError: an entry cannot be made; the message says which and why.
    """
    return [
        entry
        for exercise, answers in _answers(course, assignment)
        for entry in _entries(exercise, answers, folder / f"{exercise}.toml")
    ]


def judge(entry: BankEntry, seed: int = 0) -> Judged:
    """Run the hidden tests on an entry, with inputs and weights from a seed."""
    return Judged(entry, entry.verdict(seed))


def _answers(course: Course, assignment: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each exercise with the code of all answers in its notebook, by exercise."""
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
        raise CourseError(
            f"{path.name}: [stand_in] replaces {', '.join(sorted(unknown))}, which the notebook "
            "does not have."
        )
    notebook = notebook | stand_in
    yield BankEntry(exercise, SOURCE, notebook)
    for kind in ("variant", "mutant"):
        for item in bank.pop(kind, []):
            where = f"{path.name}, {kind} {item.get('name')!r}"
            if unknown := item.keys() - KEYS:
                raise CourseError(f"{where}: unknown key {', '.join(sorted(unknown))}.")
            if (kind == "mutant") != ("says" in item):
                raise CourseError(
                    f"{where}: a mutant needs the key says, a variant must not have it."
                )
            changed = notebook | {exercise: item.get("source", notebook[exercise])}
            for change in item.get("replace", []):
                target = change.get("in", exercise)
                if change["old"] not in changed[target]:
                    raise CourseError(
                        f"{where}: the answer to {target} does not contain {change['old']!r}."
                    )
                changed[target] = changed[target].replace(change["old"], change["new"])
            if changed == notebook:
                raise CourseError(f"{where} changes nothing.")
            yield BankEntry(
                exercise, item["name"], changed, item.get("says"), item.get("least", 0.0)
            )
    if bank:
        raise CourseError(f"{path.name}: {', '.join(bank)} is neither a mutant nor a variant.")
