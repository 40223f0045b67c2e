"""The result of a check: marks by part, and a sentence for each part that failed."""

import math
from collections.abc import Container
from dataclasses import dataclass, replace

# Characters of a sentence, which may quote what a student wrote.
LONGEST = 1000


def one_line(sentence: str) -> str:
    """Return a sentence as a single line: in a report, each line is a sentence."""
    line = " ".join(sentence.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


@dataclass(frozen=True)
class Part:
    """A part of an exercise, such as its values.

    Args:
        name: its name.
        marks: the marks that it earned.
        out_of: the marks that it can earn.
        sentence: why it did not earn all of them.
    """

    name: str
    marks: float
    out_of: float
    sentence: str = ""


@dataclass(frozen=True)
class Verdict:
    """The marks of one exercise."""

    parts: tuple[Part, ...]

    @property
    def marks(self) -> float:
        """The sum over the parts, rounded down to quarters, so that every mistake costs marks."""
        return math.floor(4 * sum(part.marks for part in self.parts) + 1e-6) / 4

    @property
    def out_of(self) -> float:
        """The marks that the exercise can earn."""
        return sum(part.out_of for part in self.parts)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The sentences in the order of the parts, without repetition."""
        return tuple(dict.fromkeys(one_line(part.sentence) for part in self.parts if part.sentence))

    def saying_only(self, known: Container[str], instead: str) -> "Verdict":
        """Return the same marks with all sentences but the known ones replaced by another."""
        return Verdict(
            tuple(
                replace(part, sentence=instead)
                if part.sentence and one_line(part.sentence) not in known
                else part
                for part in self.parts
            )
        )

    def report(self) -> float:
        """Print parts and sentences, and return the marks, which nbgrader reads from the cell."""
        width = max(len(part.name) for part in self.parts)
        for part in self.parts:
            print(f"{part.name:<{width}}  {part.marks:.3g} of {part.out_of:g}")
        for sentence in self.sentences:
            print(f"- {sentence}")
        return self.marks
