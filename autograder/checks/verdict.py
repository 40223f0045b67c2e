"""What a check found: marks by part, and a sentence for each part that failed."""

import math
from dataclasses import dataclass


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
        return tuple(dict.fromkeys(part.sentence for part in self.parts if part.sentence))

    def report(self) -> float:
        """Print parts and sentences; return the marks, which nbgrader reads from the cell."""
        width = max(len(part.name) for part in self.parts)
        for part in self.parts:
            print(f"{part.name:<{width}}  {part.marks:.3g} of {part.out_of:g}")
        for sentence in self.sentences:
            print(f"- {sentence}")
        return self.marks
