"""Pictures of a network's layers: how large their outputs are, what they cost."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from convnets.plots.style import LINE_STYLES, MARKERS, PALETTE, styled

MOST_MARKERS = 12


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


@styled
def lines_by_layer(
    ax: Axes, values: Mapping[str, Sequence[float]], label: str, log: bool = False
) -> Axes:
    """A value of each layer, from input to output; a line for each network.

    Args:
        ax: where to draw.
        values: network -> one value for each layer, in the unit that `label` names.
        label: of the axis of values, with its unit.
        log: a logarithmic scale; a 0 leaves a gap.

    Raises:
        ValueError: a logarithmic scale for values below 0.
    """
    if log and any(value < 0 for line in values.values() for value in line):
        raise ValueError("a logarithmic scale shows no values below 0; draw with log=False")
    for index, (name, line) in enumerate(values.items()):
        ax.plot(
            range(1, len(line) + 1),
            line,
            marker=MARKERS[index % len(MARKERS)],
            markevery=max(1, len(line) // MOST_MARKERS),
            color=PALETTE[index % len(PALETTE)],
            linestyle=LINE_STYLES[index % len(LINE_STYLES)],
            label=name,
        )
    if log:
        ax.set_yscale("log")
    ax.set_xlabel("layer, from input to output")
    ax.set_ylabel(label)
    ax.legend()
    return ax


@styled
def reached_maps(ax: Axes, reached: Tensor, title: str = "") -> Axes:
    """Which maps that go into some layers reach which that come out: a dark square for each pair.

    Args:
        ax: where to draw.
        reached: (maps out, maps in), true where the one depends on the other.
        title: above the square.

    Raises:
        ValueError: no matrix.
    """
    if reached.ndim != 2:
        raise ValueError(
            "reached_maps draws a matrix of maps out by maps in, got the shape "
            f"{tuple(reached.shape)}"
        )
    ax.imshow(reached.detach().cpu().numpy() != 0, cmap="Blues", vmin=0, vmax=1.4)
    ax.set_title(title, fontsize=10)
    ax.grid(visible=False)
    ax.set_xlabel("map that goes in")
    ax.set_ylabel("map that comes out")
    return ax
