"""The ledger of the lecture: every figure of every slide, beside the value that we compute.

>>> from convnets.lecture import ledger, slides
>>> [row.computed for row in ledger() if row.slide == 5][-1]
'34,848'
"""

from functools import cache

from convnets.lecture.claims import CLAIMS
from convnets.lecture.rows import Claim, LedgerRow, Verdict, verdict
from convnets.lecture.slides import Slide, slides
from convnets.lecture.unchecked import Unchecked, unchecked

__all__ = [
    "CLAIMS",
    "Claim",
    "LedgerRow",
    "Slide",
    "Unchecked",
    "Verdict",
    "ledger",
    "slides",
    "unchecked",
    "verdict",
]


def ledger() -> list[LedgerRow]:
    """Compute all claims of the slides and compare them with what the slides say.

    The first call takes some seconds; later calls return the same rows.

    Returns:
        One row for each claim, in the order of the slides.

    Example:
        >>> rows = ledger()
        >>> rows[0].slide, len(rows) > 100
        (3, True)
    """
    return list(_ledger())


@cache
def _ledger() -> tuple[LedgerRow, ...]:
    return tuple(claim.check() for claim in CLAIMS)
