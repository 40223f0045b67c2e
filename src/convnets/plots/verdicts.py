"""A figure of the lecture's ledger: on which slides the claims agree with our values."""

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
    """Draw a column of marks for each slide, one mark for each claim, by verdict.

    Args:
        ax: axes to draw on.
        slides: slide number of each claim.
        verdicts: verdict of each claim: "exact", "rounded" or "differs".

    Example:
        >>> from convnets.plots import figure
        >>> ax = verdict_stacks(figure().axes[0], [5, 5, 6], ["exact", "rounded", "differs"])
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
