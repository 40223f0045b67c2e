"""A picture of the lecture's ledger: which slides say what we compute."""

from collections import Counter
from collections.abc import Sequence

from matplotlib.axes import Axes

from convnets.plots.style import PALETTE, styled

_LOOKS = {
    "exact": (PALETTE[4], "o", "exact"),
    "rounded": (PALETTE[0], "s", "rounded: equal at the slide's own precision"),
    "differs": (PALETTE[1], "X", "differs"),
}


@styled
def verdict_stacks(ax: Axes, slides: Sequence[int], verdicts: Sequence[str]) -> Axes:
    """A column of marks for each slide, a mark for each claim, by verdict.

    Args:
        ax: where to draw.
        slides: number of the slide of each claim.
        verdicts: "exact", "rounded" or "differs" for each claim.
    """
    heights: Counter[int] = Counter()
    for verdict, (color, marker, label) in _LOOKS.items():
        numbers, places = [], []
        for slide, found in zip(slides, verdicts, strict=True):
            if found == verdict:
                heights[slide] += 1
                numbers.append(slide)
                places.append(heights[slide])
        ax.plot(numbers, places, marker, color=color, markersize=4, label=label)
    ax.set(xlabel="slide", ylabel="claims", xlim=(0, max(slides) + 1), ylim=(0, None))
    ax.legend(loc="upper right")
    return ax
