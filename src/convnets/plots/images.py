"""Pictures of what has pixels: real images with their classes, the kernels of a convolution."""

from collections.abc import Sequence

import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from torch import Tensor, nn

from convnets.plots.style import CourseFigure, figure, styled

MOST_TICKS = 4


def image_grid(images: Tensor, titles: Sequence[str], columns: int = 5) -> CourseFigure:
    """Grey images in a grid, each under its title.

    Args:
        images: (N, 1, H, W), dark is 0.
        titles: one for each image.
        columns: images in a row.
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
    """Draw the kernels of a convolution, with a row for each output and a column for each input.

    The larger a weight, whatever its sign, the darker; a 0 is white. Grey squares are kernels that
    the layer does not have, since the two maps are in different groups.

    Args:
        ax: where to draw.
        convolution: grouped or not.
        maps: draw the first so many rows and columns only.
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
    ax.set_xticks(*_middles(columns, width))
    ax.set_yticks(*_middles(rows, height))
    ax.grid(visible=False)
    ax.set_xlabel("map that goes in")
    ax.set_ylabel("map that comes out")
    return ax


def _middles(maps: int, side: int) -> tuple[list[float], list[str]]:
    """Middles of some kernels along an axis, in pixels, and the numbers of their maps."""
    numbers = range(0, maps, -(-maps // MOST_TICKS))
    return [side * number + (side - 1) / 2 for number in numbers], [str(n + 1) for n in numbers]
