"""A claim of a slide, and its verdict.

The claimed and the computed value are compared by code, never judged by hand.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal, TypeAlias

from convnets.seeding import fixed_seed

Claimed: TypeAlias = str | bool | tuple[str | bool, ...]
"""Text of the slide, such as "35K", "5e-4" or "55x55x96"; `True` for a statement; or several."""
Value: TypeAlias = str | bool | int | float | tuple[str | bool | int | float, ...]
"""What we compute for a claim, or for several claims."""
Verdict = Literal["exact", "rounded", "differs"]
VERDICTS: tuple[Verdict, ...] = ("exact", "rounded", "differs")

_UNITS = {"": 0, "%": 0, "x": 0, "k": 3, "K": 3, "M": 6, "MB": 6}
_FIGURE = re.compile(r"([\d,]+(?:\.\d+)?(?:e-?\d+)?) ?(k|K|MB|M|%|x|)")


@dataclass(frozen=True)
class LedgerRow:
    """A row of the ledger, as text for a reader."""

    slide: int
    statement: str
    claimed: str
    computed: str
    verdict: Verdict
    note: str
    """The source of the figure and, where the slide differs, the reason."""


@dataclass(frozen=True)
class Claim:
    """What a slide claims, and the function that checks it.

    Args:
        slide: number of the slide.
        statement: the claim in our words, with the slide's arithmetic if it has any.
        claimed: the figure exactly as on the slide; `True` if the statement itself is the claim.
        compute: function that returns a number for a figure, a bool for a statement, or text; a
            tuple of these for several claims.
        note: source or reason, or a function that returns it if it contains computed figures.
    """

    slide: int
    statement: str
    claimed: Claimed
    compute: Callable[[], Value]
    note: str | Callable[[], str] = ""

    def check(self) -> LedgerRow:
        """Compute the claim, compare, and return the row of the ledger.

        The computation uses a fixed random seed and leaves the caller's random state unchanged.
        """
        with fixed_seed(0):
            computed = self.compute()
            note = self.note if isinstance(self.note, str) else self.note()
        row_verdict = verdict(self.claimed, computed)
        return LedgerRow(
            self.slide, self.statement, text(self.claimed), text(computed), row_verdict, note
        )


def verdict(claimed: Claimed, computed: Value) -> Verdict:
    """Compare what a slide claims with the computed value.

    The precision of a claimed figure is that of its last digit. Zeros before a unit do not count,
    so "800K" is precise to 100,000.

    Args:
        claimed: the figure, text or statement of the slide, or several.
        computed: our value, or as many values as there are claims.

    Returns:
        "exact" if the two are equal, "rounded" if they are equal at the precision of the claim,
        otherwise "differs". Of several claims, the worst verdict counts.

    Raises:
        ValueError: `claimed` is not a figure although `computed` is a number, or their numbers of
            values differ.

    Example:
        >>> verdict("61M", 60_965_224), verdict("62M", 60_965_224)
        ('rounded', 'differs')
    """
    if isinstance(claimed, tuple) and isinstance(computed, tuple):
        if len(claimed) != len(computed):
            raise ValueError(
                f"{len(claimed)} claims need as many computed values, got {len(computed)}"
            )
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
    """Format a value for a reader: 34,848; 8.711; yes."""
    if isinstance(value, tuple):
        return ", ".join(map(text, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else value


def _read(figure: object) -> tuple[Decimal, Decimal]:
    """The value of a written figure, and one unit of its last significant digit."""
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
