"""The ledger of the lecture: every figure of every slide, and what we compute for it.

>>> from convnets.lecture import ledger, slides
>>> [row.computed for row in ledger() if row.slide == 5][-1]
'34,848'
"""

from functools import cache

from convnets.lecture.claims import CLAIMS
from convnets.lecture.rows import Claim, Row, Verdict, verdict
from convnets.lecture.slides import Slide, slides
from convnets.lecture.unchecked import Unchecked, unchecked

__all__ = [
    "CLAIMS",
    "Claim",
    "Row",
    "Slide",
    "Unchecked",
    "Verdict",
    "ledger",
    "slides",
    "unchecked",
    "verdict",
]


def ledger() -> list[Row]:
    """All claims with our values and the verdicts, in the order of the slides.

    The first call computes for some seconds.
    """
    return list(_ledger())


@cache
def _ledger() -> tuple[Row, ...]:
    return tuple(claim.check() for claim in CLAIMS)
