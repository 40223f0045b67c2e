"""What a check found: marks by part, and a sentence for each part that failed."""

import math
from collections.abc import Container
from dataclasses import dataclass, replace

# Characters; a sentence may quote what a student wrote.
LONGEST = 1000


def one_line(sentence: str) -> str:
    """A sentence as a line of a report; more lines could be taken for more sentences."""
    line = " ".join(sentence.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


@dataclass(frozen=True)
class Part:
    """One thing that an exercise asks for, such as its values: marks, and why not all of them."""

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
        """The sum of the parts in quarters of a mark, rounded down: any fault costs something."""
        return math.floor(4 * sum(part.marks for part in self.parts) + 1e-6) / 4

    @property
    def out_of(self) -> float:
        return sum(part.out_of for part in self.parts)

    @property
    def sentences(self) -> tuple[str, ...]:
        """Each sentence once, in the order of the parts."""
        return tuple(dict.fromkeys(one_line(part.sentence) for part in self.parts if part.sentence))

    def saying_only(self, known: Container[str], instead: str) -> "Verdict":
        """The same marks with these sentences, and another one for all others."""
        return Verdict(
            tuple(
                replace(part, sentence=instead)
                if part.sentence and one_line(part.sentence) not in known
                else part
                for part in self.parts
            )
        )

    def report(self) -> float:
        """Print parts and sentences; return the marks, which nbgrader reads from the cell."""
        width = max(len(part.name) for part in self.parts)
        for part in self.parts:
            print(f"{part.name:<{width}}  {part.marks:.3g} of {part.out_of:g}")
        for sentence in self.sentences:
            print(f"- {sentence}")
        return self.marks
