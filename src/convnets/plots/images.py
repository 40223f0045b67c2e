"""Figures of images with their classes and of the kernels of a convolution."""

from collections.abc import Sequence

import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from torch import Tensor, nn

from convnets.plots.style import CourseFigure, figure, styled

MAX_TICKS = 4


def image_grid(images: Tensor, titles: Sequence[str], columns: int = 5) -> CourseFigure:
    """Draw grey images in a grid, each under its title.

    Args:
        images: (N, 1, H, W), grey values from 0 (black) to 255 (white).
        titles: N titles.
        columns: number of images in a row.

    Example:
        >>> import torch
        >>> fig = image_grid(torch.rand(3, 1, 28, 28), ["coat", "bag", "boot"])
    """
    rows = -(-len(images) // columns)
    fig = figure(rows, columns, width=7.5, height=1.8 * rows)
    for ax in fig.axes:
        ax.axis("off")
    for ax, image, title in zip(fig.axes, images, titles, strict=False):
        ax.imshow(image[0].numpy(), cmap="gray", vmin=0, vmax=255)
        ax.set_title(title, fontsize=10, fontweight="normal")
    return fig


@styled
def kernel_grid(ax: Axes, convolution: nn.Conv2d, maps: int | None = None) -> Axes:
    """Draw the kernels of a convolution, one row for each output and one column for each input.

    The larger the absolute value of a weight, the darker it is drawn; 0 is white. A grey square
    marks a pair of maps in different groups, for which the layer has no kernel.

    Args:
        ax: axes to draw on.
        convolution: the layer, grouped or not; its weights are (out_channels, in_channels / groups,
            height, width).
        maps: draw only this many rows and columns; all by default.

    Example:
        >>> from convnets.plots import figure
        >>> from torch import nn
        >>> ax = kernel_grid(figure().axes[0], nn.Conv2d(8, 8, kernel_size=3, groups=2))
    """
    height, width = convolution.kernel_size
    members = convolution.in_channels // convolution.groups
    kernels = torch.full((convolution.out_channels, convolution.in_channels, height, width), -1.0)
    for row, weight in enumerate(convolution.weight.detach().abs().cpu()):
        group = row * convolution.groups // convolution.out_channels
        kernels[row, group * members : (group + 1) * members] = weight
    kernels = kernels[:maps, :maps]
    rows, columns = kernels.shape[:2]
    values = kernels.permute(0, 2, 1, 3).reshape(rows * height, columns * width)
    colors = colormaps["Blues"].with_extremes(under="#CCCCCC")
    ax.imshow(values.numpy(), cmap=colors, vmin=0, vmax=max(float(values.max()), 1e-12))
    for number in range(1, rows):
        ax.axhline(number * height - 0.5, color="#888888", linewidth=0.5)
    for number in range(1, columns):
        ax.axvline(number * width - 0.5, color="#888888", linewidth=0.5)
    ax.set_xticks(*_centres(columns, width))
    ax.set_yticks(*_centres(rows, height))
    ax.grid(visible=False)
    ax.set_xlabel("input map")
    ax.set_ylabel("output map")
    return ax


def _centres(maps: int, side: int) -> tuple[list[float], list[str]]:
    """Centres of a few kernels along an axis, in pixels, and the numbers of their maps."""
    numbers = range(0, maps, -(-maps // MAX_TICKS))
    return [side * number + (side - 1) / 2 for number in numbers], [str(n + 1) for n in numbers]
