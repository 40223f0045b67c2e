"""Figures of a network's layers: the size of their outputs, and what they cost."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from convnets.plots.style import LINE_STYLES, MARKERS, PALETTE, styled

MAX_MARKERS = 12


@styled
def layer_bars(
    ax: Axes, names: Sequence[str], values: Sequence[float], label: str, color: str = PALETTE[0]
) -> Axes:
    """Draw one horizontal bar for each layer, the first layer at the top.

    Args:
        ax: axes to draw on.
        names: names of the layers, from input to output.
        values: one value for each layer, in the unit that `label` names.
        label: label of the value axis, with its unit.
        color: colour of the bars.

    Example:
        >>> from convnets.plots import figure
        >>> ax = layer_bars(figure().axes[0], ["conv1", "fc1"], [0.9, 3.8], "parameters, millions")
        >>> ax.get_xlabel()
        'parameters, millions'
    """
    ax.barh(range(len(names)), values, color=color)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(label)
    return ax


@styled
def shapes(ax: Axes, names: Sequence[str], outputs: Sequence[tuple[int, int, int]]) -> Axes:
    """Draw a network as a row of boxes, one for the output of each layer.

    The height of a box is the height of the feature maps; its width grows with their number.

    Args:
        ax: axes to draw on.
        names: names of the layers, from input to output.
        outputs: output shape (C, H, W) of each layer.

    Example:
        >>> from convnets.plots import figure
        >>> ax = shapes(figure().axes[0], ["conv1", "pool1"], [(64, 112, 112), (64, 56, 56)])
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
    """Draw a value of each layer, from input to output, one line for each network.

    Args:
        ax: axes to draw on.
        values: maps a network to one value for each layer, in the unit that `label` names.
        label: label of the value axis, with its unit.
        log: use a logarithmic scale, on which a 0 leaves a gap.

    Raises:
        ValueError: `log` is set and a value is negative.

    Example:
        >>> from convnets.plots import figure
        >>> ax = lines_by_layer(figure().axes[0], {"ReLU": [1.0, 0.9], "tanh": [0.6, 0.4]}, "mean")
        >>> len(ax.lines)
        2
    """
    if log and any(value < 0 for line in values.values() for value in line):
        raise ValueError("a logarithmic scale cannot show negative values; draw with log=False")
    for index, (name, line) in enumerate(values.items()):
        ax.plot(
            range(1, len(line) + 1),
            line,
            marker=MARKERS[index % len(MARKERS)],
            markevery=max(1, len(line) // MAX_MARKERS),
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
    """Draw which input maps of some layers reach which output maps, a dark square for each pair.

    Args:
        ax: axes to draw on.
        reached: (output maps, input maps), nonzero where the output map depends on the input map.
        title: title above the matrix.

    Raises:
        ValueError: `reached` is not a matrix.

    Example:
        >>> from convnets.plots import figure
        >>> import torch
        >>> ax = reached_maps(figure().axes[0], torch.eye(6).bool(), "one group for each map")
    """
    if reached.ndim != 2:
        raise ValueError(
            f"reached must be a matrix (output maps, input maps), got {tuple(reached.shape)}"
        )
    ax.imshow(reached.detach().cpu().numpy() != 0, cmap="Blues", vmin=0, vmax=1.4)
    ax.set_title(title, fontsize=10)
    ax.grid(visible=False)
    ax.set_xlabel("input map")
    ax.set_ylabel("output map")
    return ax
