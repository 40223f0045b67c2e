"""Slides 23 to 28: Inception modules."""

from functools import cache

import torch

from convnets.analysis import Trace, trace
from convnets.lecture.measure import (
    filters,
    kernel,
    size,
    weights,
)
from convnets.lecture.rows import Claim, Value
from convnets.models.chain import Chain
from convnets.models.googlenet import InceptionModule, InceptionWidths, NaiveInception

SIDE, DEPTH = 28, 256
"""Side in pixels and channels of the input of the modules on slides 28 and 31."""
NAIVE = (128, 192, 96)
"""Numbers of 1x1, 3x3 and 5x5 filters."""
REDUCED = InceptionWidths(128, 64, 192, 64, 96, 64)
"""The same after 1x1 convolutions of 64 filters."""


@cache
def module(reduced: bool) -> tuple[Trace, int]:
    """Layers of the module of slide 28 or 31, and the number of channels of its output."""
    with torch.device("meta"):
        net = InceptionModule(DEPTH, REDUCED) if reduced else NaiveInception(DEPTH, *NAIVE)
        return trace(net, SIDE), net(torch.empty(1, DEPTH, SIDE, SIDE)).shape[1]


def naive() -> Trace:
    return module(reduced=False)[0]


def reduced() -> Trace:
    return module(reduced=True)[0]


def output(is_reduced: bool) -> str:
    return f"{SIDE}x{SIDE}x{module(is_reduced)[1]}"


def banks(layers: Trace, names: tuple[str, ...]) -> Value:
    """Number and size of filters in the slides' order: 192x3x3x256."""
    return tuple(f"{layers[name].output[0]}x{filters(layers[name])}" for name in names)


def cost_of_twice_the_width() -> tuple[float, float]:
    """Factors by which parameters and MACs grow."""
    thin, wide = (trace(Chain("ReLU", width=width), SIDE) for width in (32, 64))
    return wide.parameters / thin.parameters, wide.macs / thin.macs


CLAIMS = (
    Claim(
        23,
        "A bigger network has more parameters, and its computations increase dramatically",
        True,
        lambda: min(cost_of_twice_the_width()) > 2,
        lambda: (
            "Ten convolutions of twice the width have {:.1f} times the parameters and {:.1f} "
            "times the multiply-accumulates.".format(*cost_of_twice_the_width())
        ),
    ),
    Claim(
        26,
        "Filter sizes of the naive module, and its pool (3x3)",
        ("1x1", "3x3", "5x5", "3x3"),
        lambda: tuple(kernel(row) for row in naive() if row.kernel is not None),
    ),
    Claim(
        27,
        "5x5 convolutions are especially expensive",
        True,
        lambda: naive()["conv5x5.conv"].macs > naive()["conv3x3.conv"].macs,
        lambda: (
            f"They take {naive()['conv5x5.conv'].macs / naive().macs:.0%} of the naive module's "
            f"multiply-accumulates, although they are only {NAIVE[-1]} of its {sum(NAIVE)} filters."
        ),
    ),
    Claim(28, "Module input", "28x28x256", lambda: f"{SIDE}x{SIDE}x{reduced().input_shape[0]}"),
    Claim(
        28,
        "Filters of 1x1 conv, 128; 3x3 conv, 192; 5x5 conv, 96",
        ("128x1x1x256", "192x3x3x256", "96x5x5x256"),
        lambda: banks(naive(), ("conv1x1.conv", "conv3x3.conv", "conv5x5.conv")),
    ),
    Claim(
        28,
        "Output sizes of the convolutions and the pool",
        ("28x28x128", "28x28x192", "28x28x96", "28x28x256"),
        lambda: tuple(size(row) for row in naive() if row.kernel is not None),
    ),
    Claim(28, "Size of the concatenation", "28x28x672", lambda: output(is_reduced=False)),
    Claim(
        28,
        "Total parameters of the naive module",
        "108k",
        lambda: weights(naive()),
        "The three products on the slide add up to our value, which is ten times as large. A digit "
        "was probably lost.",
    ),
    Claim(
        28,
        "The depth can only grow at every layer",
        True,
        lambda: module(reduced=False)[1] > naive()["pool"].output[0] == DEPTH,
        "The pool keeps all maps of the input, and the convolutions add theirs.",
    ),
)
