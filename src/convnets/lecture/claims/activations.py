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
    """The gradient in the first of ten ReLU layers, relative to that with He's initialization.

    The weights are drawn from N(0, 0.01^2), as AlexNet's were.
    """
    he, old = Chain("ReLU"), Chain("ReLU")
    init_normal_(old, std=0.01)
    images, labels = torch.randn(8, 1, 28, 28), torch.arange(8)
    arriving = [next(iter(gradient_norms(net, images, labels).values())) for net in (old, he)]
    return arriving[0] / arriving[1]


@cache
def silent_units() -> float:
    """Share of zeros after the first ReLU of an untrained chain, on noise."""
    return dead_units(Chain("ReLU"), torch.randn(8, 1, 28, 28))[0].inactive


CLAIMS = (
    Claim(
        9,
        "A large change of the sigmoid's input causes a small change of its output",
        True,
        lambda: output("sigmoid", FAR) - output("sigmoid", FAR / 4) < 0.01,
        lambda: (
            f"From an input of {FAR / 4:g} to one of {FAR:g}, the output rises by "
            f"{output('sigmoid', FAR) - output('sigmoid', FAR / 4):.4f}."
        ),
    ),
    Claim(
        9,
        "Its derivative becomes small: the gradient vanishes",
        True,
        lambda: slope("sigmoid", FAR / 2) < 1e-4,
        lambda: (
            f"It is largest at 0, where it is {slope('sigmoid', 0):g}. At {FAR / 2:g} it is "
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
            "It removes one of two causes; the other is the scale of the weights. In the first of "
            "ten ReLU layers, the gradient with AlexNet's small initial weights is "
            f"{gradient_left():.0e} times that with He's initialization."
        ),
    ),
    Claim(10, "ReLU is zero for negative inputs", True, lambda: output("ReLU", -FAR) == 0),
    Claim(
        10,
        "ReLU is sparse: many units are likely to be inactive",
        True,
        lambda: 0.25 < silent_units() < 0.75,
        lambda: (
            f"In an untrained network, {silent_units():.0%} of the values after the first ReLU "
            "are 0."
        ),
    ),
    Claim(
        10,
        "A ReLU can die: for a negative input its gradient is 0",
        True,
        lambda: slope("ReLU", -1) == 0,
    ),
    Claim(10, "Range of ReLU", "[0, inf)", range_of_relu),
    Claim(
        11,
        "Leaky ReLU and PReLU have slope zero nowhere",
        True,
        lambda: min(slope(name, -FAR) for name in ("leaky ReLU", "PReLU")) > 0,
        "In a deep network their small slopes multiply, so the gradient can still become small.",
    ),
    Claim(
        12,
        "ELU and SELU do not die",
        True,
        lambda: min(slope(name, -1) for name in ("ELU", "SELU")) > 0,
        "For large negative inputs they are nearly flat as well; see the next row.",
    ),
    Claim(
        12,
        "ELU and SELU saturate for large negative inputs",
        True,
        lambda: max(slope(name, -FAR) for name in ("ELU", "SELU")) < 1e-6,
        lambda: (
            f"At {-FAR:g}, ELU is {output('ELU', -FAR):.4f} and SELU {output('SELU', -FAR):.4f}."
        ),
    ),
)
