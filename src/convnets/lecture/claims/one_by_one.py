"""Slides 29 to 31: 1x1 convolutions, and the Inception module with them."""

from functools import cache
from itertools import pairwise

from torch import nn

from convnets.analysis import Trace, trace
from convnets.lecture.claims.inception import (
    DEPTH,
    REDUCED,
    SIDE,
    banks,
    module,
    naive,
    output,
    reduced,
)
from convnets.lecture.measure import size, traced, weights
from convnets.lecture.rows import Claim

# In the order of slide 31, the projection after the pool last.
PATHS = (
    "branch3x3.reduce.conv",
    "branch5x5.reduce.conv",
    "branch1x1.conv",
    "branch3x3.conv.conv",
    "branch5x5.conv.conv",
    "branch_pool.project.conv",
)


@cache
def one_by_one() -> Trace:
    """The convolution of slide 30, from 64 maps to 32."""
    return trace(nn.Conv2d(64, 32, kernel_size=1, bias=False), SIDE)


def relu_follows_every_one_by_one() -> bool:
    """Whether a ReLU follows each 1x1 convolution of GoogLeNet."""
    rows = traced("googlenet").rows
    return all(
        after.kind == "ReLU"
        for row, after in pairwise(rows)
        if row.kind == "Conv2d" and row.kernel == (1, 1)
    )


CLAIMS = (
    Claim(
        29,
        "1x1 convolutions reduce or augment the number of channels",
        True,
        lambda: (
            reduced()["branch3x3.reduce.conv"].output[0] < DEPTH
            and traced("resnet50")["stage1.0.residual.conv3"].output[0]
            > traced("resnet50")["stage1.0.residual.conv2"].output[0]
        ),
        "They reduce it in Inception and augment it at the end of ResNet's bottleneck.",
    ),
    Claim(
        29,
        "They introduce a non-linearity",
        True,
        relu_follows_every_one_by_one,
        "A ReLU follows each of them in GoogLeNet.",
    ),
    Claim(
        30,
        "A 1x1 convolution preserves the spatial dimensions and reduces the depth",
        True,
        lambda: one_by_one().rows[0].output == (32, *one_by_one().input_shape[1:]),
    ),
    Claim(
        30,
        "Parameters of 32 1x1 filters on 64 maps, 64x32",
        "2048",
        lambda: one_by_one().rows[0].weights,
    ),
    Claim(31, "Module input", "28x28x256", lambda: f"{SIDE}x{SIDE}x{reduced().input_shape[0]}"),
    Claim(
        31,
        "Filters of 1x1 conv, 64, twice; 1x1 conv, 128; 3x3 conv, 192; 5x5 conv, 96; 1x1 conv, 64",
        ("64x1x1x256", "64x1x1x256", "128x1x1x256", "192x3x3x64", "96x5x5x64", "64x1x1x256"),
        lambda: banks(reduced(), PATHS),
    ),
    Claim(
        31,
        "Their output sizes",
        ("28x28x64", "28x28x64", "28x28x128", "28x28x192", "28x28x96", "28x28x64"),
        lambda: tuple(size(reduced()[name]) for name in PATHS),
    ),
    Claim(
        31,
        "The output of the pool, 28x28x256, decreases from 256 channels to",
        "64",
        lambda: reduced()["branch_pool.project.conv"].output[0],
    ),
    Claim(31, "Size of the concatenation", "28x28x480", lambda: output(is_reduced=True)),
    Claim(
        31,
        "The module increases the depth of its input",
        True,
        lambda: module(reduced=True)[1] > DEPTH,
    ),
    Claim(
        31,
        "Total parameters of the module with reductions",
        "33k",
        lambda: weights(reduced()),
        lambda: (
            "The six products on the slide add up to our value, which is about ten times as large. "
            "Without one of the 64-filter lines they add up to "
            f"{weights(reduced()) - REDUCED.reduce3x3 * DEPTH:,}, so the total may lack that line "
            "as well as a digit."
        ),
    ),
    Claim(
        31,
        "The total of the naive module, from which it decreases",
        "108k",
        lambda: weights(naive()),
        lambda: (
            f"See slide 28. The decrease is real: {weights(naive()):,} is "
            f"{weights(naive()) / weights(reduced()):.1f} times as many."
        ),
    ),
)
