"""Pictures of what a network has learned: its filters and maps, what it reuses, where it looks."""

import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from torch import Tensor

from convnets.plots.style import PALETTE, styled

# From clear to vermillion: where nothing is hot, the image alone is seen.
HEAT = LinearSegmentedColormap.from_list("heat", [(PALETTE[1], 0.0), (PALETTE[1], 0.85)])


@styled
def mosaic(ax: Axes, pictures: Tensor, columns: int, title: str = "") -> Axes:
    """Filters or feature maps side by side: blue above 0, red below, white at 0.

    Each has a scale of its own, which ends at its value farthest from 0.

    Args:
        ax: where to draw.
        pictures: (N, H, W), such as the weights of N filters, or N maps of one image.
        columns: pictures in a row.
        title: above all of them.

    Raises:
        ValueError: no pictures, or tensors of another shape.
    """
    if pictures.ndim != 3 or not len(pictures):
        raise ValueError(f"pictures must be (N, H, W), N at least 1, got {tuple(pictures.shape)}")
    pictures = pictures.detach().float().cpu()
    number, height, width = pictures.shape
    columns = min(columns, number)
    rows, gap = -(-number // columns), max(1, width // 8)
    canvas = torch.full((rows * (height + gap) - gap, columns * (width + gap) - gap), torch.nan)
    for index, picture in enumerate(pictures):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        largest = max(float(picture.abs().max()), 1e-12)
        canvas[top : top + height, left : left + width] = picture / largest
    colors = colormaps["RdBu"].with_extremes(bad="#BBBBBB")
    ax.imshow(canvas.numpy(), cmap=colors, vmin=-1, vmax=1)
    ax.set_title(title, fontsize=10, fontweight="normal")
    ax.axis("off")
    return ax


@styled
def feature_reuse(ax: Axes, matrix: Tensor) -> Axes:
    """How much each layer of a dense block reads from each source (Huang et al., 2017, figure 5).

    Args:
        ax: where to draw.
        matrix: (sources, targets) from 0 to 1, as `convnets.analysis.feature_reuse` returns it:
            source 0 is the block's input; the last target is what follows the block; NaN where the
            target cannot read the source.

    Raises:
        ValueError: a matrix of another shape.
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            "feature_reuse draws the square matrix of convnets.analysis.feature_reuse, got the "
            f"shape {tuple(matrix.shape)}"
        )
    layers = len(matrix) - 1
    image = ax.imshow(matrix.detach().cpu().numpy(), cmap="viridis", vmin=0, vmax=1)
    ax.figure.colorbar(image, ax=ax, label="mean |weight|,\nof the target's largest")
    step = max(1, layers // 8)
    numbers = range(step, layers + 1, step)
    ax.set_yticks([0, *numbers], ["input", *map(str, numbers)])
    targets = [number for number in numbers if number < layers]
    ax.set_xticks([number - 1 for number in targets] + [layers], [*map(str, targets), "next"])
    ax.grid(visible=False)
    ax.set_xlabel("target layer")
    ax.set_ylabel("source layer")
    return ax


@styled
def heatmap_on_image(ax: Axes, image: Tensor, heat: Tensor, title: str = "") -> Axes:
    """An image in grey, and over it in red where the heat is (Grad-CAM).

    Args:
        ax: where to draw.
        image: (C, H, W), of 1 or 3 channels, on any scale; drawn from its darkest to its brightest
            value.
        heat: (H, W) from 0 to 1.
        title: above the image.

    Raises:
        ValueError: image and heat of different sizes.
    """
    if image.ndim != 3 or heat.shape != image.shape[1:]:
        raise ValueError(
            "the image must be (C, H, W) and the heat (H, W) of the same size, got "
            f"{tuple(image.shape)} and {tuple(heat.shape)}"
        )
    ax.imshow(image.float().mean(dim=0).cpu().numpy(), cmap="gray")
    ax.imshow(heat.cpu().numpy(), cmap=HEAT, vmin=0, vmax=1)
    ax.set_title(title, fontsize=10, fontweight="normal")
    ax.axis("off")
    return ax


@styled
def gate_bars(ax: Axes, gates: Tensor, mean: Tensor) -> Axes:
    """How far each gate of a squeeze-and-excitation layer opens, against a mean.

    Args:
        ax: where to draw.
        gates: (channels,), each from 0 to 1.
        mean: the same over many images.
    """
    maps = range(1, len(gates) + 1)
    ax.bar(
        maps, gates.tolist(), color=PALETTE[4], edgecolor="black", linewidth=0.5, label="this image"
    )
    ax.plot(maps, mean.tolist(), "D", color=PALETTE[1], markersize=5, label="mean of all images")
    ax.set_ylim(0, 1.25)
    ax.set_xticks(maps[:: max(1, len(gates) // 8)])
    ax.grid(axis="x", visible=False)
    ax.set_xlabel("map")
    ax.set_ylabel("gate")
    ax.legend(loc="upper right", ncols=2)
    return ax
