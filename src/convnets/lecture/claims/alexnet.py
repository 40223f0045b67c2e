"""Slides 3 to 7: AlexNet, layer by layer."""

from convnets.analysis import LayerRow
from convnets.lecture.measure import (
    filters,
    kernel,
    padding,
    short_name,
    size,
    stride,
    traced,
)
from convnets.lecture.papers import WINNERS
from convnets.lecture.rows import Claim, Value

REPEATED = (
    "The panel repeats that of CONV1 (slide 5), probably left over from copying; slide 8 has the "
    "right values."
)


def layer(name: str) -> LayerRow:
    return traced("alexnet")[name]


def side(name: str) -> int:
    return layer(name).output[-1]


def pool(name: str) -> Value:
    row = layer(name)
    return size(row), kernel(row), stride(row)


def fitting_input() -> str:
    """Size of the image that CONV1's windows cover exactly, from its output, stride and kernel."""
    row = layer("conv1")
    assert row.kernel is not None
    pixels = (side("conv1") - 1) * stride(row) + row.kernel[0]
    return f"{pixels}x{pixels}x{traced('alexnet').input_shape[0]}"


def formula_holds() -> bool:
    """Whether the formula of slide 6 gives the output size of every convolution and pool."""
    before, holds = traced("alexnet").input_shape, True
    for row in traced("alexnet"):
        if row.kernel is not None:
            for n, k, output in zip(before[1:], row.kernel, row.output[1:], strict=True):
                holds &= (n + 2 * padding(row) - k) // stride(row) + 1 == output
        before = row.output
    return holds


def readers(all_maps: bool) -> str:
    """Layers that read the maps of both GPUs, or only those on the same GPU.

    CONV1 is among the latter, because it reads the image, which both GPUs have.
    """
    first, *rest = [row for row in traced("alexnet") if row.weights]
    chosen = [row for row in rest if (row.groups in (None, 1)) == all_maps]
    return ", ".join(short_name(row) for row in (chosen if all_maps else [first, *chosen]))


def first_convolutional_winner() -> str:
    return next(winner.network for winner in WINNERS if winner.network is not None)


CLAIMS = (
    Claim(
        3,
        "The first winner of ILSVRC with a convolutional network",
        "AlexNet",
        first_convolutional_winner,
        "The winners are listed in Russakovsky et al., 2015, table 5.",
    ),
    Claim(
        5,
        "Size of the input image",
        "227x227x3",
        fitting_input,
        "The paper says 224, but the slide is right: of the two, only 227 gives CONV1 a whole "
        "number of steps.",
    ),
    Claim(
        5,
        "CONV1, the first layer: number of filters, filter size, stride",
        ("96", "11x11x3", "4"),
        lambda: (layer("conv1").output[0], filters(layer("conv1")), stride(layer("conv1"))),
    ),
    Claim(
        5,
        "Output size of CONV1",
        "55x55x96",
        lambda: size(layer("conv1")),
    ),
    Claim(5, "Height and width after CONV1, (227-11)/4+1", "55", lambda: side("conv1")),
    Claim(
        5,
        "Parameters of CONV1, 11x11x3x96",
        "35K",
        lambda: layer("conv1").weights,
        lambda: f"Weights only. With the biases there are {layer('conv1').parameters:,}, also 35K.",
    ),
    Claim(
        6,
        "Output size of CONV1 for an input of 227x227x3",
        "55x55x96",
        lambda: size(layer("conv1")),
    ),
    Claim(
        6,
        "POOL1: output size, window, stride",
        ("27x27x96", "3x3", "2"),
        lambda: pool("pool1"),
    ),
    Claim(6, "Height and width after POOL1, (55-3)/2+1", "27", lambda: side("pool1")),
    Claim(
        6,
        "A layer's output has (n + 2p - k)/s + 1 pixels per side",
        True,
        formula_holds,
        "True of every convolution and pool of AlexNet, if the quotient is rounded down.",
    ),
    Claim(7, "Input", "227x227x3", fitting_input),
    Claim(7, "Output size of CONV1", "55x55x96", lambda: size(layer("conv1"))),
    Claim(7, "Output size of POOL1", "27x27x96", lambda: size(layer("pool1"))),
    Claim(
        7,
        "CONV2: number of filters, filter size",
        ("256", "5x5x48"),
        lambda: (layer("conv2").output[0], filters(layer("conv2"))),
    ),
    Claim(7, "Stride of CONV2", "4", lambda: stride(layer("conv2")), REPEATED),
    Claim(7, "Height and width after CONV2, (227-11)/4+1", "55", lambda: side("conv2"), REPEATED),
    Claim(7, "Output size of CONV2", "55x55x96", lambda: size(layer("conv2")), REPEATED),
    Claim(
        7,
        "Parameters of CONV2, 11x11x3x96",
        "35K",
        lambda: layer("conv2").weights,
        f"{REPEATED} CONV2 has 5x5x48x256 weights.",
    ),
    Claim(
        7,
        "Each filter of CONV2 sees half of the 96 maps, since there are 2 GPUs",
        "2",
        lambda: layer("conv1").output[0] // int(filters(layer("conv2")).split("x")[-1]),
        "Today this is written as a convolution with two groups.",
    ),
    Claim(
        7,
        "Layers that connect across the GPUs",
        "CONV3, FC6, FC7, FC8",
        lambda: readers(all_maps=True),
    ),
    Claim(
        7,
        "Layers that read only the maps on the same GPU",
        "CONV1, CONV2, CONV4, CONV5",
        lambda: readers(all_maps=False),
        "CONV1 reads the image, which both GPUs have.",
    ),
)
