"""Figures of how a network is connected, how large its blocks are, and what they cost."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Arc, Rectangle

from convnets.plots.style import PALETTE, styled

HATCHES = ("", "//", "..", "xx", "\\\\", "--", "++")


@styled
def stacked_bars(ax: Axes, bars: Mapping[str, Mapping[str, float]], label: str) -> Axes:
    """Draw horizontal bars divided into named parts, the first bar at the top.

    A part has the same colour and hatching in all bars. The total of a bar is written beside it.

    Args:
        ax: axes to draw on.
        bars: maps the name of a bar to its parts, and a part to its value in the unit that `label`
            names.
        label: label of the value axis, with its unit.

    Example:
        >>> from convnets.plots import figure
        >>> bars = {"VGG-16": {"convolutions": 14.7, "classifier": 123.6}}
        >>> ax = stacked_bars(figure().axes[0], bars, "parameters, millions")
    """
    parts = list(dict.fromkeys(part for bar in bars.values() for part in bar))
    for number, part in enumerate(parts):
        left = [_before(bar, part) for bar in bars.values()]
        ax.barh(
            range(len(bars)),
            [bar.get(part, 0) for bar in bars.values()],
            left=left,
            height=0.6,
            color=PALETTE[number % (len(PALETTE) - 1)],
            hatch=HATCHES[number % len(HATCHES)],
            edgecolor="white",
            label=part,
        )
    for row, bar in enumerate(bars.values()):
        ax.text(sum(bar.values()), row, f" {sum(bar.values()):.4g}", va="center", fontsize=10)
    ax.set_yticks(range(len(bars)), list(bars))
    ax.invert_yaxis()
    ax.margins(x=0.15)
    ax.set_xlim(left=0)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(label)
    return ax


def _before(bar: Mapping[str, float], part: str) -> float:
    names = list(bar)
    return sum(bar[name] for name in names[: names.index(part)]) if part in bar else 0.0


@styled
def dense_connections(ax: Axes, channels: Sequence[int]) -> Axes:
    """Draw a dense block, with an arc from the input and from each layer to every later layer.

    See Huang et al. (2017), figure 1, and slide 57.

    Args:
        ax: axes to draw on.
        channels: number of channels that layers 1, 2, ... read, then that of the block's output.

    Example:
        >>> from convnets.plots import figure
        >>> ax = dense_connections(figure().axes[0], [24, 36, 48, 60])
    """
    layers = len(channels) - 1
    for target in range(1, layers + 1):
        for source in range(target):
            span = target - source
            ax.add_patch(
                Arc(
                    ((source + target) / 2, 0.25),
                    span,
                    0.9 * span,
                    theta1=0,
                    theta2=180,
                    color=PALETTE[source % (len(PALETTE) - 1)],
                    linewidth=1.4,
                )
            )
    for position in range(layers + 1):
        face = PALETTE[position % (len(PALETTE) - 1)]
        ax.add_patch(
            Rectangle((position - 0.25, -0.25), 0.5, 0.5, facecolor=face, edgecolor="black")
        )
        reads = "input" if position == 0 else f"reads\n{channels[position - 1]}"
        ax.text(position, -0.4, reads, ha="center", va="top", fontsize=9)
    ax.text(layers + 0.4, 0, f"{channels[-1]} channels\nafter the block", va="center", fontsize=9)
    ax.set_xlim(-0.6, layers + 2.0)
    ax.set_ylim(-1.2, 0.45 + 0.45 * layers)
    ax.axis("off")
    return ax


@styled
def block_skyline(ax: Axes, blocks: Sequence[tuple[int, int]]) -> Axes:
    """Draw the number of output maps of each block of a network as a row of bars.

    The title gives the side of the first and of the last maps in pixels.

    Args:
        ax: axes to draw on.
        blocks: number of channels and side in pixels of each block's output, from input to output.

    Example:
        >>> from convnets.plots import figure
        >>> ax = block_skyline(figure().axes[0], [(64, 112), (128, 56), (256, 28)])
        >>> len(ax.patches)
        3
    """
    numbers = range(1, len(blocks) + 1)
    channels = [width for width, _ in blocks]
    ax.bar(numbers, channels, width=1, color=PALETTE[4], edgecolor="black", linewidth=0.5)
    ax.set_title(f"maps of {blocks[0][1]} to {blocks[-1][1]} pixels", fontsize=10)
    ax.grid(axis="x", visible=False)
    ax.set_xlabel("block")
    ax.set_ylabel("maps")
    return ax
