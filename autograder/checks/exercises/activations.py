"""Hidden tests of the activations: slides 9 to 12. Tensor arithmetic only."""

import torch
from torch import Generator, Tensor

from autograder.checks.functions import Call, FunctionExercise, Slip
from autograder.checks.student import ACTIVATIONS

LARGE = torch.tensor([-1e6, -800.0, -100.0, -30.0, 30.0, 100.0, 800.0, 1e6], dtype=torch.float64)


def _calls(generator: Generator, *others: tuple[object, ...]) -> list[Call]:
    """Values and gradients of small and large inputs, for each choice of the other arguments."""
    x = 3 * torch.randn(3, 4, 5, generator=generator, dtype=torch.float64)
    x[0, 0, 0] = 0.0
    away_from_0 = torch.where(x == 0, 1.0, x)
    turned = x.transpose(0, 2)
    calls = []
    for more in others or ((),):
        calls += [Call("values", (some, *more)) for some in (x, x.float(), turned, x[0, 0])]
        calls += [Call("gradients", (some, *more), gradients=True) for some in (away_from_0, -x[1])]
        calls += [Call("large inputs", (LARGE, *more), gradients=look) for look in (False, True)]
    return calls


def _leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    return torch.where(x > 0, x, negative_slope * x)


LEAKY_RELU = FunctionExercise(
    "leaky_relu",
    "leaky_relu",
    _leaky_relu,
    lambda generator: _calls(generator, (), (0.2,)),
    {"values": 1, "gradients": 0.5, "large inputs": 0.5},
    (
        Slip(
            "leaky_relu returns 0 for negative inputs: that is the plain ReLU, whose units can die "
            "(slide 11); the leaky one keeps a small slope.",
            lambda x, negative_slope=0.01: x.clamp(min=0),
        ),
        Slip(
            "leaky_relu has the same slope whatever negative_slope says: use the argument.",
            lambda x, negative_slope=0.01: torch.where(x > 0, x, 0.01 * x),
        ),
    ),
    forbidden=ACTIVATIONS,
)

EXERCISES = (LEAKY_RELU,)
