"""Figures of a trained network: filters, feature maps, feature reuse, heat maps, gates."""

import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from torch import Tensor

from convnets.plots.style import PALETTE, styled

# From transparent to vermilion, so that the image shows where the heat is 0.
HEAT = LinearSegmentedColormap.from_list("heat", [(PALETTE[1], 0.0), (PALETTE[1], 0.85)])


@styled
def mosaic(ax: Axes, pictures: Tensor, columns: int, title: str = "") -> Axes:
    """Draw filters or feature maps in a grid: blue above 0, red below 0, white at 0.

    Each one is scaled separately, by its largest absolute value.

    Args:
        ax: axes to draw on.
        pictures: (N, H, W), such as the weights of N filters or N feature maps of one image.
        columns: number of pictures in a row.
        title: title above the grid.

    Raises:
        ValueError: `pictures` is not (N, H, W) with N at least 1.

    Example:
        >>> from convnets.plots import figure
        >>> import torch
        >>> ax = mosaic(figure().axes[0], torch.randn(12, 5, 5), columns=6)
    """
    if pictures.ndim != 3 or not len(pictures):
        raise ValueError(
            f"pictures must be (N, H, W) with N at least 1, got {tuple(pictures.shape)}"
        )
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
    """Draw how much each layer of a dense block reads from each earlier one.

    This is figure 5 of Huang et al. (2017), shown on slide 59.

    Args:
        ax: axes to draw on.
        matrix: (sources, targets), values from 0 to 1, as `convnets.analysis.feature_reuse` returns
            it. Source 0 is the block's input, and the last target is the layer after the block. NaN
            marks a target that cannot read the source.

    Raises:
        ValueError: `matrix` is not square.

    Example:
        >>> from convnets.plots import figure
        >>> import convnets
        >>> net = convnets.create_model("densenet40_12")
        >>> ax = feature_reuse(figure().axes[0], convnets.analysis.feature_reuse(net, block=1))
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            "matrix must be square, as convnets.analysis.feature_reuse returns it, got the shape "
            f"{tuple(matrix.shape)}"
        )
    layers = len(matrix) - 1
    image = ax.imshow(matrix.detach().cpu().numpy(), cmap="viridis", vmin=0, vmax=1)
    ax.figure.colorbar(image, ax=ax, label="mean |weight|, relative\nto the target's largest")
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
    """Draw a heat map in red over an image in grey, as for Grad-CAM.

    Args:
        ax: axes to draw on.
        image: (C, H, W) with 1 or 3 channels, on any scale: its smallest value is drawn black, its
            largest white.
        heat: (H, W), values from 0 to 1.
        title: title above the image.

    Raises:
        ValueError: `image` is not (C, H, W), or `heat` is not (H, W) of the same size.

    Example:
        >>> from convnets.plots import figure
        >>> import torch
        >>> ax = heatmap_on_image(figure().axes[0], torch.rand(3, 28, 28), torch.rand(28, 28))
    """
    if image.ndim != 3 or heat.shape != image.shape[1:]:
        raise ValueError(
            "image must be (C, H, W) and heat (H, W) of the same size, got "
            f"{tuple(image.shape)} and {tuple(heat.shape)}"
        )
    ax.imshow(image.float().mean(dim=0).cpu().numpy(), cmap="gray")
    ax.imshow(heat.cpu().numpy(), cmap=HEAT, vmin=0, vmax=1)
    ax.set_title(title, fontsize=10, fontweight="normal")
    ax.axis("off")
    return ax


@styled
def gate_bars(ax: Axes, gates: Tensor, mean: Tensor) -> Axes:
    """Draw the gates of a squeeze-and-excitation layer for one image, beside their mean.

    Args:
        ax: axes to draw on.
        gates: (C,), the gate of each channel for one image, from 0 to 1.
        mean: (C,), the mean of each gate over many images, from 0 to 1.

    Example:
        >>> from convnets.plots import figure
        >>> import torch
        >>> ax = gate_bars(figure().axes[0], torch.rand(16), torch.full((16,), 0.5))
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
