"""Pictures of data: real images with their classes."""

from collections.abc import Sequence

from torch import Tensor

from convnets.plots.style import CourseFigure, figure


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
