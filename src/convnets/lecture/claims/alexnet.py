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
    "The panel repeats that of CONV1 (slide 5), most likely left over from a copy; slide 8 is "
    "right."
)


def layer(name: str) -> LayerRow:
    return traced("alexnet")[name]


def side(name: str) -> int:
    return layer(name).output[-1]


def pool(name: str) -> Value:
    row = layer(name)
    return size(row), kernel(row), stride(row)


def fitting_input() -> str:
    """The image whose last window ends at its border, from CONV1's outputs, stride and kernel."""
    row = layer("conv1")
    assert row.kernel is not None
    pixels = (side("conv1") - 1) * stride(row) + row.kernel[0]
    return f"{pixels}x{pixels}x{traced('alexnet').input_shape[0]}"


def formula_holds() -> bool:
    """The formula of slide 6 gives the sides of every convolution and pool."""
    before, holds = traced("alexnet").input_shape, True
    for row in traced("alexnet"):
        if row.kernel is not None:
            for n, k, output in zip(before[1:], row.kernel, row.output[1:], strict=True):
                holds &= (n + 2 * padding(row) - k) // stride(row) + 1 == output
        before = row.output
    return holds


def readers(all_maps: bool) -> str:
    """Layers that read the maps of both GPUs, or of their own only.

    CONV1 counts to the second: it reads the image, which both GPUs have.
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
        "Winners: Russakovsky et al., 2015, table 5.",
    ),
    Claim(
        5,
        "Values of the input image",
        "227x227x3",
        fitting_input,
        "The paper says 224; the slide is right, only 227 gives CONV1 a whole number of steps.",
    ),
    Claim(
        5,
        "CONV1, the first layer: filters, size of each, stride",
        ("96", "11x11x3", "4"),
        lambda: (layer("conv1").output[0], filters(layer("conv1")), stride(layer("conv1"))),
    ),
    Claim(
        5,
        "Size behind CONV1",
        "55x55x96",
        lambda: size(layer("conv1")),
    ),
    Claim(5, "Height and width behind CONV1, (227-11)/4+1", "55", lambda: side("conv1")),
    Claim(
        5,
        "Parameters of CONV1, 11x11x3x96",
        "35K",
        lambda: layer("conv1").weights,
        lambda: f"Weights; with the biases {layer('conv1').parameters:,}, which is 35K too.",
    ),
    Claim(6, "Input 227x227x3, behind CONV1", "55x55x96", lambda: size(layer("conv1"))),
    Claim(
        6,
        "POOL1: size, window, stride",
        ("27x27x96", "3x3", "2"),
        lambda: pool("pool1"),
    ),
    Claim(6, "Height and width behind POOL1, (55-3)/2+1", "27", lambda: side("pool1")),
    Claim(
        6,
        "A layer's output has (n + 2p - k)/s + 1 pixels a side",
        True,
        formula_holds,
        "For every convolution and pool of AlexNet, with the division rounded down.",
    ),
    Claim(7, "Input", "227x227x3", fitting_input),
    Claim(7, "Behind CONV1", "55x55x96", lambda: size(layer("conv1"))),
    Claim(7, "Behind POOL1", "27x27x96", lambda: size(layer("pool1"))),
    Claim(
        7,
        "CONV2: filters, size of each",
        ("256", "5x5x48"),
        lambda: (layer("conv2").output[0], filters(layer("conv2"))),
    ),
    Claim(7, "Stride of CONV2", "4", lambda: stride(layer("conv2")), REPEATED),
    Claim(7, "Height and width behind CONV2, (227-11)/4+1", "55", lambda: side("conv2"), REPEATED),
    Claim(7, "Size behind CONV2", "55x55x96", lambda: size(layer("conv2")), REPEATED),
    Claim(
        7,
        "Parameters of CONV2, 11x11x3x96",
        "35K",
        lambda: layer("conv2").weights,
        f"{REPEATED} CONV2 has 5x5x48x256 weights.",
    ),
    Claim(
        7,
        "Filters of CONV2 see half of the 96 maps, since there are 2 GPUs",
        "2",
        lambda: layer("conv1").output[0] // int(filters(layer("conv2")).split("x")[-1]),
        "Today this is a convolution with two groups.",
    ),
    Claim(
        7,
        "Layers that connect across the GPUs",
        "CONV3, FC6, FC7, FC8",
        lambda: readers(all_maps=True),
    ),
    Claim(
        7,
        "Layers that read the maps of their own GPU only",
        "CONV1, CONV2, CONV4, CONV5",
        lambda: readers(all_maps=False),
        "CONV1 reads the image, which both GPUs have.",
    ),
)
