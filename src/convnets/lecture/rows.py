"""A claim of a slide, and its verdict.

The claimed and the computed value are compared by code, never judged by hand.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal, TypeAlias

import torch

Claimed: TypeAlias = str | bool | tuple[str | bool, ...]
"""Text as on the slide, such as "35K", "5e-4" or "55x55x96"; `True` for a statement; several."""
Value: TypeAlias = str | bool | int | float | tuple[str | bool | int | float, ...]
Verdict = Literal["exact", "rounded", "differs"]
VERDICTS: tuple[Verdict, ...] = ("exact", "rounded", "differs")

_UNITS = {"": 0, "%": 0, "x": 0, "k": 3, "K": 3, "M": 6, "MB": 6}
_FIGURE = re.compile(r"([\d,]+(?:\.\d+)?(?:e-?\d+)?) ?(k|K|MB|M|%|x|)")


@dataclass(frozen=True)
class Row:
    """One line of the ledger, as text for a reader."""

    slide: int
    statement: str
    claimed: str
    computed: str
    verdict: Verdict
    note: str
    """Where the figure comes from; where the slide differs, why."""


@dataclass(frozen=True)
class Claim:
    """What a slide says, and the function that finds out.

    Args:
        statement: the claim in our words, with the slide's arithmetic where it has some.
        claimed: the figure as it stands on the slide.
        compute: returns a number for a figure, a truth for a statement, else text; for several
            claims a tuple of them.
        note: text, or a function where the note needs computed figures.
    """

    slide: int
    statement: str
    claimed: Claimed
    compute: Callable[[], Value]
    note: str | Callable[[], str] = ""

    def check(self) -> Row:
        """Compute, compare, and write the row.

        Random numbers are the same each time, and the caller's are left as they are.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            computed = self.compute()
            note = self.note if isinstance(self.note, str) else self.note()
        row_verdict = verdict(self.claimed, computed)
        return Row(
            self.slide, self.statement, text(self.claimed), text(computed), row_verdict, note
        )


def verdict(claimed: Claimed, computed: Value) -> Verdict:
    """Exact if equal, rounded if equal at the claim's own precision, else differs.

    The precision of a figure is that of its last digit; zeros before a unit do not count, so "800K"
    says "8 times 100,000". Of several claims the worst decides. Texts and truths are equal or not.

    Raises:
        ValueError: a figure that cannot be read, or not as many figures as computed values.
    """
    if isinstance(claimed, tuple) and isinstance(computed, tuple):
        if len(claimed) != len(computed):
            raise ValueError(f"{len(claimed)} claims need as many values, got {len(computed)}")
        pairs = zip(claimed, computed, strict=True)
        return max((verdict(*pair) for pair in pairs), key=VERDICTS.index)
    if isinstance(computed, bool) or not isinstance(computed, int | float):
        return "exact" if claimed == computed else "differs"
    figure, precision = _read(claimed)
    value = Decimal(str(computed))
    if value == figure:
        return "exact"
    return "rounded" if value.quantize(precision, ROUND_HALF_UP) == figure else "differs"


def text(value: Value) -> str:
    """A value for a reader: 34,848; 8.711; yes."""
    if isinstance(value, tuple):
        return ", ".join(map(text, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else value


def _read(figure: object) -> tuple[Decimal, Decimal]:
    """The value of a written figure, and one unit of its last digit that counts."""
    match = _FIGURE.fullmatch(figure) if isinstance(figure, str) else None
    if match is None:
        raise ValueError(
            f"{figure!r} is not a figure; write it like '1,728', '3.2M', '5e-4' or '6.7%'"
        )
    digits, unit = match.groups()
    number = Decimal(digits.replace(",", ""))
    counted = number.normalize() if _UNITS[unit] and "." not in digits else number
    exponent = counted.as_tuple().exponent
    assert isinstance(exponent, int)
    return number.scaleb(_UNITS[unit]), Decimal(1).scaleb(exponent + _UNITS[unit])
