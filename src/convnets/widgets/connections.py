"""Explorers of the connections between layers: shortcuts and dense blocks."""

from functools import cache

import torch

from convnets.analysis import gradient_norms
from convnets.models import create_model
from convnets.models.densenet import BottleneckLayer, DenseBlock, DenseLayer
from convnets.plots import CourseFigure, dense_connections, figure, gradient_by_layer
from convnets.seeding import fixed_seed
from convnets.training import load
from convnets.widgets.explorer import Explorer

BATCH = 32


def residual_gradients() -> Explorer:
    """Explore the gradients of untrained plain and residual networks, layer by layer.

    The control is the depth of both networks (slides 38 to 41).

    Example:
        >>> list(residual_gradients().controls)
        ['depth']
    """

    @cache
    def gradients(depth: int) -> dict[str, list[float]]:
        data = load("fashion-mnist-small")
        images = (data.train.images[:BATCH] / 255 - data.mean) / data.std
        norms = {}
        for kind in ("plain", "resnet"):
            with fixed_seed(0):
                net = create_model(f"{kind}{depth}", num_classes=10, in_channels=1)
            found = gradient_norms(net, images, data.train.labels[:BATCH])
            norms[f"{kind}-{depth}"] = list(found.values())
        return norms

    def draw(depth: int) -> CourseFigure:
        fig = figure(width=6.5, height=3)
        ax = gradient_by_layer(fig.axes[0], gradients(depth))
        ax.set_xlim(0, 57)
        ax.set_ylim(1e-5, 1e2)
        return fig

    def describe(depth: int) -> str:
        ratios = {name: norms[0] / norms[-2] for name, norms in gradients(depth).items()}
        each = " and ".join(
            f"{ratio:,.0f} times as large in {name}" for name, ratio in ratios.items()
        )
        return (
            f"{depth} layers with batch norm, before training, on {BATCH} images of Fashion-MNIST. "
            f"Compared with the last convolution, the gradient in the first layer is {each}."
        )

    return Explorer(
        "Gradients of plain and residual networks before training",
        draw,
        describe,
        {"depth": [20, 32, 44, 56]},
        start={"depth": 56},
    )


def densenet_connections() -> Explorer:
    """Explore the connections and the parameters of a dense block (slide 57).

    The controls are the number of layers and the growth rate. The block's input has twice as many
    channels as the growth rate.

    Example:
        >>> list(densenet_connections().controls)
        ['layers', 'growth_rate']
    """

    def reads(layers: int, growth_rate: int) -> list[int]:
        """Number of channels before each layer and after the last."""
        return [(2 + number) * growth_rate for number in range(layers + 1)]

    def parameters(layers: int, growth_rate: int, layer: type[DenseLayer]) -> int:
        with torch.device("meta"):
            block = DenseBlock(
                [layer(channels, growth_rate) for channels in reads(layers, growth_rate)[:-1]]
            )
        return sum(parameter.numel() for parameter in block.parameters())

    def draw(layers: int, growth_rate: int) -> CourseFigure:
        fig = figure(width=6.5, height=1.4 + 0.28 * layers)
        dense_connections(fig.axes[0], reads(layers, growth_rate))
        return fig

    def describe(layers: int, growth_rate: int) -> str:
        channels = reads(layers, growth_rate)
        plain, bottleneck = (
            parameters(layers, growth_rate, layer) for layer in (DenseLayer, BottleneckLayer)
        )
        return (
            f"{layers} layer(s) with growth rate {growth_rate} on {channels[0]} channels: l(l+1)/2 "
            f"= {layers * (layers + 1) // 2} connections. The last layer reads {channels[-2]} "
            f"channels, and the block outputs {channels[-1]}. It has {plain:,} parameters, or "
            f"{bottleneck:,} if each layer starts with a 1x1 convolution to {4 * growth_rate} maps."
        )

    return Explorer(
        "Connections in a dense block",
        draw,
        describe,
        {"layers": [1, 2, 3, 4, 5, 6], "growth_rate": [12, 24, 32]},
        start={"layers": 4},
    )
