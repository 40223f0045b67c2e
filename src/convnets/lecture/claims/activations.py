"""Slides 9 to 12: ReLU, the sigmoid, and the variants."""

from functools import cache

import torch
from torch import Tensor

from convnets.analysis import dead_units, gradient_norms
from convnets.layers import ACTIVATIONS, init_normal_
from convnets.lecture.rows import Claim
from convnets.models.chain import Chain

FAR = 20.0
"""An input that is large for every activation."""


def output(name: str, x: float) -> float:
    return float(ACTIVATIONS[name]()(torch.tensor([float(x)])))


def slope(name: str, x: float) -> float:
    point = torch.tensor([float(x)], requires_grad=True)
    ACTIVATIONS[name]()(point).backward()
    assert isinstance(point.grad, Tensor)
    return float(point.grad)


def range_of_relu() -> str:
    low, high = (output("ReLU", x) for x in (-float("inf"), float("inf")))
    return f"[{low:.0f}, {high:.0f})"


@cache
def gradient_left() -> float:
    """The gradient norm at the first of ten ReLU layers, as a share of that with He's weights.

    The weights are drawn from N(0, 0.01^2), as AlexNet's were.
    """
    he, old = Chain("ReLU"), Chain("ReLU")
    init_normal_(old, std=0.01)
    images, labels = torch.randn(8, 1, 28, 28), torch.arange(8)
    arriving = [next(iter(gradient_norms(net, images, labels).values())) for net in (old, he)]
    return arriving[0] / arriving[1]


@cache
def silent_units() -> float:
    """Share of zeros behind the first ReLU of a fresh chain, on noise."""
    return dead_units(Chain("ReLU"), torch.randn(8, 1, 28, 28))[0].inactive


CLAIMS = (
    Claim(
        9,
        "A large change of the sigmoid's input makes a small change of its output",
        True,
        lambda: output("sigmoid", FAR) - output("sigmoid", FAR / 4) < 0.01,
        lambda: (
            f"From {FAR / 4:g} to {FAR:g} it rises by "
            f"{output('sigmoid', FAR) - output('sigmoid', FAR / 4):.4f}."
        ),
    ),
    Claim(
        9,
        "Its derivative becomes small: the gradient vanishes",
        True,
        lambda: slope("sigmoid", FAR / 2) < 1e-4,
        lambda: (
            f"At 0 it is {slope('sigmoid', 0):g} and largest, at {FAR / 2:g} "
            f"{slope('sigmoid', FAR / 2):.1e}."
        ),
    ),
    Claim(
        10, "ReLU's slope does not plateau", True, lambda: slope("ReLU", FAR) == slope("ReLU", 1)
    ),
    Claim(
        10,
        "ReLU solves the vanishing gradient problem",
        True,
        lambda: gradient_left() > 0.01,
        lambda: (
            "It removes one of two causes; the weights are the other. Through ten layers of "
            f"ReLU, AlexNet's small weights let {gradient_left():.0e} of the gradient pass that "
            "He's weights let pass."
        ),
    ),
    Claim(10, "ReLU is zero for negative inputs", True, lambda: output("ReLU", -FAR) == 0),
    Claim(
        10,
        "ReLU is sparse: units are likely not to be active",
        True,
        lambda: 0.25 < silent_units() < 0.75,
        lambda: f"{silent_units():.0%} of the values behind the first ReLU of a fresh network.",
    ),
    Claim(
        10,
        "A ReLU can die: with a negative input it gets no gradient",
        True,
        lambda: slope("ReLU", -1) == 0,
    ),
    Claim(10, "Range of ReLU", "[0, inf)", range_of_relu),
    Claim(
        11,
        "Leaky ReLU and PReLU have no part of slope zero",
        True,
        lambda: min(slope(name, -FAR) for name in ("leaky ReLU", "PReLU")) > 0,
        "In a deep chain their small slopes multiply, so the gradient can still be small.",
    ),
    Claim(
        12,
        "ELU and SELU do not die",
        True,
        lambda: min(slope(name, -1) for name in ("ELU", "SELU")) > 0,
        "Far to the left they are nearly flat as well: that is the next row.",
    ),
    Claim(
        12,
        "ELU and SELU saturate for large negative inputs",
        True,
        lambda: max(slope(name, -FAR) for name in ("ELU", "SELU")) < 1e-6,
        lambda: f"At {-FAR:g} ELU is {output('ELU', -FAR):.4f}, SELU {output('SELU', -FAR):.4f}.",
    ),
)
