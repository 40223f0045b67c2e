"""Pictures of a network's layers: how large their outputs are, what they cost."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from convnets.plots.style import PALETTE, styled


@styled
def layer_bars(
    ax: Axes, names: Sequence[str], values: Sequence[float], label: str, color: str = PALETTE[0]
) -> Axes:
    """One horizontal bar a layer, the first layer on top.

    Args:
        ax: where to draw.
        names: of the layers, from input to output.
        values: of the layers, in the unit that `label` names.
        label: of the axis, with its unit.
        color: of the bars.
    """
    ax.barh(range(len(names)), values, color=color)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(label)
    return ax


@styled
def shapes(ax: Axes, names: Sequence[str], outputs: Sequence[tuple[int, int, int]]) -> Axes:
    """A network as a row of boxes: height is the side of the maps, width grows with their number.

    Args:
        ax: where to draw.
        names: of the layers, from input to output.
        outputs: (C, H, W) of each.
    """
    left, gap = 0.0, 20.0
    for name, (channels, height, width) in zip(names, outputs, strict=True):
        thickness = 6 + channels / 12
        color = PALETTE[5] if "pool" in name.lower() else PALETTE[4]
        ax.add_patch(
            Rectangle((left, -height / 2), thickness, height, facecolor=color, edgecolor="black")
        )
        middle = left + thickness / 2
        ax.text(middle, height / 2 + 2, f"{height}x{width}\nx{channels}", ha="center", fontsize=9)
        ax.text(middle, -height / 2 - 3, name, ha="center", va="top", fontsize=9)
        left += thickness + gap
    tallest = max(height for _, height, _ in outputs)
    ax.set_xlim(-gap, left)
    ax.set_ylim(-0.7 * tallest, 0.75 * tallest)
    ax.axis("off")
    return ax
