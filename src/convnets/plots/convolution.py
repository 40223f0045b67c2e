"""Figures of a sliding window along one side of an image."""

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from convnets.plots.style import PALETTE, styled

PADDED = "#BBBBBB"


@styled
def sliding_window(
    ax: Axes, size: int, kernel_size: int, stride: int = 1, padding: int = 0
) -> Axes:
    """Draw every position of a window over a row of pixels, one below the other.

    Pixels that no position covers are hatched. If the window is larger than the padded row, only
    the row is drawn.

    Args:
        ax: axes to draw on.
        size: length of the row in pixels.
        kernel_size: length of the window in pixels.
        stride: distance between two positions in pixels.
        padding: number of zero pixels added at each end.

    Example:
        >>> from convnets.plots import figure
        >>> ax = sliding_window(figure().axes[0], size=9, kernel_size=3, stride=2)
    """
    padded = size + 2 * padding
    positions = max(0, (padded - kernel_size) // stride + 1)
    covered = (positions - 1) * stride + kernel_size if positions else 0
    for index in range(padded):
        inside = padding <= index < padding + size
        hatch = "///" if index >= covered else None
        ax.add_patch(
            Rectangle(
                (index, 0),
                1,
                1,
                facecolor="white" if inside else PADDED,
                edgecolor="black",
                hatch=hatch,
            )
        )
    for number in range(positions):
        top = -1.0 - number * 0.8
        ax.add_patch(
            Rectangle(
                (number * stride, top),
                kernel_size,
                0.6,
                facecolor=PALETTE[number % 2],
                edgecolor="black",
            )
        )
        ax.text(padded + 0.3, top + 0.3, f"output {number + 1}", va="center", fontsize=8)
    ax.text(padded + 0.3, 0.5, "input", va="center", fontsize=9)
    ax.set_xlim(-0.5, padded + 3.5)
    ax.set_ylim(-1.2 - 0.8 * max(positions, 1), 1.4)
    ax.axis("off")
    return ax


@styled
def field_pyramid(ax: Axes, kernel_size: int, depth: int, stride: int = 1) -> Axes:
    """Draw the receptive field of one output value, layer by layer, down to the input pixels.

    Args:
        ax: axes to draw on.
        kernel_size: kernel size of every layer in pixels.
        depth: number of layers.
        stride: stride of every layer in pixels.

    Example:
        >>> from convnets.plots import figure
        >>> ax = field_pyramid(figure().axes[0], kernel_size=3, depth=3)
    """
    widths = [1]
    for _ in range(depth):
        widths.append((widths[-1] - 1) * stride + kernel_size)
    for level, width in enumerate(widths):
        color = PALETTE[1] if level == 0 else PALETTE[0] if level == depth else PALETTE[4]
        for index in range(width):
            ax.add_patch(
                Rectangle(
                    (index - width / 2, -1.6 * level), 1, 1, facecolor=color, edgecolor="black"
                )
            )
        name = "output" if level == 0 else "input" if level == depth else f"layer {depth - level}"
        ax.text(
            max(widths) / 2 + 0.5,
            -1.6 * level + 0.5,
            f"{name}: {width}",
            va="center",
            fontsize=9,
        )
    ax.set_xlim(-max(widths) / 2 - 0.5, max(widths) / 2 + max(4.0, max(widths) * 0.25))
    ax.set_ylim(-1.6 * depth - 0.4, 1.4)
    ax.axis("off")
    return ax
