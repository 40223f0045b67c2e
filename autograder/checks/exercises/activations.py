"""Hidden tests of the activation functions (slides 9 to 12), written in tensor arithmetic."""

import math
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor

from autograder.checks.functions import Call, FunctionExercise, WrongFunction
from autograder.checks.student import ACTIVATIONS

LARGE = torch.tensor([-1e6, -800.0, -100.0, -30.0, 30.0, 100.0, 800.0, 1e6], dtype=torch.float64)
OVERFLOW = (
    "{} has NaN gradients for large inputs: both halves are computed everywhere, and where exp "
    "overflows in the half that is not used, the gradient is 0 times infinity. Keep large numbers "
    "out of exp (slide 12)."
)


def _normal(generator: Generator, *size: int) -> Tensor:
    return 3 * torch.randn(*size, generator=generator, dtype=torch.float64)


def _calls(generator: Generator, *others: tuple[object, ...]) -> list[Call]:
    """Make calls with small and large inputs for each choice of the other arguments."""
    x = _normal(generator, 3, 4, 5)
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
        WrongFunction(
            "leaky_relu returns 0 for negative inputs: that is the plain ReLU, whose units can "
            "die; the leaky ReLU has a small slope there (slide 11).",
            lambda x, negative_slope=0.01: x.clamp(min=0),
        ),
        WrongFunction(
            "leaky_relu has the same slope for every negative_slope: use the argument.",
            lambda x, negative_slope=0.01: torch.where(x > 0, x, 0.01 * x),
        ),
        WrongFunction(
            "leaky_relu turns negative inputs into positive outputs: the slope there is small, but "
            "still positive (slide 11).",
            lambda x, negative_slope=0.01: torch.where(x > 0, x, -negative_slope * x),
        ),
        WrongFunction(
            "leaky_relu has its two halves swapped: the small slope is for negative inputs (slide "
            "11).",
            lambda x, negative_slope=0.01: torch.where(x < 0, x, negative_slope * x),
        ),
    ),
    forbidden=ACTIVATIONS,
)


def _by_channel(x: Tensor, weight: Tensor) -> Tensor:
    return weight.reshape(1, -1, *(1,) * (x.dim() - 2))


def _prelu(x: Tensor, weight: Tensor) -> Tensor:
    return torch.where(x > 0, x, _by_channel(x, weight) * x)


def _prelu_calls(generator: Generator) -> list[Call]:
    x, square = _normal(generator, 3, 4, 5), _normal(generator, 2, 3, 4, 4)
    inputs = (x, x.transpose(0, 2), _normal(generator, 6, 4), _normal(generator, 2, 4, 3, 5))
    shared = [torch.tensor([slope], dtype=torch.float64) for slope in (0.25, -0.5, 1.7)]
    each = torch.tensor([0.1, -0.7, 1.5, 0.4], dtype=torch.float64)
    three = torch.tensor([0.3, 2.0, -1.2], dtype=torch.float64)
    large = LARGE.reshape(2, 4)
    calls = [Call("one weight", (some, weight)) for some in inputs for weight in shared[:2]]
    calls += [
        Call("one weight", (x, shared[2])),
        Call("one weight", (x.float(), shared[0].float())),
    ]
    calls += [Call("one weight per channel", (some, each)) for some in inputs]
    calls += [Call("one weight per channel", (square, three))]
    calls += [
        Call("gradients", (some, weight), gradients=True)
        for some in (x, inputs[2])
        for weight in (shared[0], each)
    ]
    return calls + [
        Call("large inputs", (large, weight), gradients=look)
        for weight in (shared[0], each)
        for look in (False, True)
    ]


PRELU = FunctionExercise(
    "prelu",
    "prelu",
    _prelu,
    _prelu_calls,
    {"one weight": 0.75, "one weight per channel": 0.5, "gradients": 0.5, "large inputs": 0.25},
    (
        WrongFunction(
            "prelu applies its weights along the last dimension: they belong to the channels, "
            "which are dimension 1.",
            lambda x, weight: torch.where(x > 0, x, weight * x),
        ),
        WrongFunction(
            "prelu takes the maximum of x and weight * x, which is correct only for weights up to "
            "1: a learned slope can have any value (slide 11).",
            lambda x, weight: torch.maximum(x, _by_channel(x, weight) * x),
        ),
        WrongFunction(
            "prelu drops the sign of its weights: a learned slope can have any value (slide 11).",
            lambda x, weight: _prelu(x, weight.abs()),
        ),
        WrongFunction(
            "prelu uses its first weight for all channels: each channel has its own.",
            lambda x, weight: _prelu(x, weight[:1]),
        ),
        WrongFunction(
            "prelu passes no gradient to its weights, so they would never be learned: learning "
            "them is what distinguishes PReLU from the leaky ReLU (slide 11).",
            lambda x, weight: _prelu(x, weight.detach()),
        ),
    ),
    forbidden=ACTIVATIONS,
    builds_on={"leaky_relu": _leaky_relu},
)


def _elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))


ELU = FunctionExercise(
    "elu",
    "elu",
    _elu,
    lambda generator: _calls(generator, (), (0.5,), (2.0,)),
    {"values": 1, "gradients": 0.5, "large inputs": 0.5},
    (
        WrongFunction(
            OVERFLOW.format("elu"),
            lambda x, alpha=1.0: torch.where(x > 0, x, alpha * (x.exp() - 1)),
        ),
        WrongFunction(
            "elu has the same floor for every alpha: use the argument (slide 12).",
            lambda x, alpha=1.0: _elu(x),
        ),
        WrongFunction(
            "elu jumps at 0: for negative inputs it is alpha * (exp(x) - 1), which meets the other "
            "half at 0 (slide 12).",
            lambda x, alpha=1.0: torch.where(x > 0, x, alpha * x.clamp(max=0).exp()),
        ),
        WrongFunction(
            "elu subtracts 1 after multiplying by alpha: alpha multiplies exp(x) - 1 as a whole, "
            "otherwise the halves do not meet at 0 (slide 12).",
            lambda x, alpha=1.0: torch.where(x > 0, x, alpha * x.clamp(max=0).exp() - 1),
        ),
        WrongFunction(
            "elu multiplies positive inputs by alpha too: there the output is the input itself "
            "(slide 12).",
            lambda x, alpha=1.0: alpha * _elu(x),
        ),
        WrongFunction(
            "elu puts alpha into the exponent: it multiplies the whole negative half (slide 12).",
            lambda x, alpha=1.0: torch.where(x > 0, x, torch.expm1(alpha * x.clamp(max=0))),
        ),
    ),
    forbidden=ACTIVATIONS,
)

# Klambauer et al., Self-normalizing neural networks, 2017, equation 14.
ALPHA = 1.6732632423543772848170429916717
SCALE = 1.0507009873554804934193349852946


def _selu(x: Tensor, alpha: float = ALPHA, scale: float = SCALE) -> Tensor:
    return scale * _elu(x, alpha)


def _selu_calls(generator: Generator) -> list[Call]:
    tight = _calls(generator)
    loose = [Call(c.part, c.arguments, gradients=c.gradients, lenient=True) for c in tight]
    return loose + [Call("precision", c.arguments, exact=True) for c in tight if c.part == "values"]


def _shorter(digits: int, rounding: Any) -> Any:
    """Return selu with constants of this many digits after the decimal point."""
    alpha, scale = (rounding(10**digits * value) / 10**digits for value in (ALPHA, SCALE))
    return partial(_selu, alpha=alpha, scale=scale)


SELU = FunctionExercise(
    "selu",
    "selu",
    _selu,
    _selu_calls,
    {"values": 0.75, "gradients": 0.5, "large inputs": 0.25, "precision": 0.5},
    (
        WrongFunction(
            OVERFLOW.format("selu"),
            lambda x: SCALE * torch.where(x > 0, x, ALPHA * (x.exp() - 1)),
        ),
        WrongFunction(
            "selu leaves out the scale: it multiplies the ELU of positive and negative inputs "
            "(slide 12).",
            partial(_selu, scale=1.0),
        ),
        WrongFunction(
            "selu leaves out alpha: it makes the negative half deeper than the scale alone does "
            "(slide 12).",
            partial(_selu, alpha=1.0),
        ),
        WrongFunction(
            "selu scales only one half: the scale multiplies positive and negative inputs (slide "
            "12).",
            lambda x: torch.where(x > 0, SCALE * x, _elu(x, ALPHA)),
        ),
        WrongFunction(
            "selu scales only one half: the scale multiplies positive and negative inputs (slide "
            "12).",
            lambda x: torch.where(x > 0, x, SCALE * _elu(x, ALPHA)),
        ),
        WrongFunction(
            "selu has its two constants swapped (slide 12).",
            partial(_selu, alpha=SCALE, scale=ALPHA),
        ),
        *(
            WrongFunction(
                "selu rounds its constants: write all the digits that a float64 holds, so that "
                "mean and standard deviation stay constant through many layers, which is the "
                "purpose of SELU (slide 12).",
                _shorter(digits, rounding),
            )
            for digits in range(1, 10)
            for rounding in (round, math.floor)
        ),
    ),
    forbidden=ACTIVATIONS,
    builds_on={"elu": _elu},
)


def _dead_fraction(activations: Tensor) -> float:
    return float((activations == 0).all(dim=0).double().mean())


def _dead_calls(generator: Generator) -> list[Call]:
    def units(*size: int, dead: int) -> Tensor:
        """Draw activations with some zeros; `dead` of the units are zero for all samples."""
        x = _normal(generator, *size)
        x[torch.rand(*size, generator=generator) < 0.3] = 0.0
        flat = x.reshape(size[0], -1)
        order = torch.randperm(flat.shape[1], generator=generator)
        flat[0, order[dead:]] = 0.01
        flat[-1, order[dead:]] = -0.01  # so the sum over the samples may be 0
        flat[:, order[:dead]] = 0.0
        return flat.reshape(size)

    rectified = units(6, 10, dead=3).abs()
    maps = units(4, 3, 5, 5, dead=20)
    maps[:, 1] = 0.0
    inputs = [rectified, rectified.float(), units(5, 8, dead=2), maps, units(7, 4, 3, dead=5)]
    inputs += [units(2, 6, dead=0), units(3, 6, dead=6), units(2, 12, dead=4)[:1], -rectified]
    inputs += [1e-9 * rectified]
    values = [Call("values", (x,), lenient=True) for x in inputs]
    return values + [Call("a Python float", (x,)) for x in inputs]


def _share(zeros: Tensor) -> float:
    return float(zeros.double().mean())


DEAD_FRACTION = FunctionExercise(
    "dead_fraction",
    "dead_fraction",
    _dead_fraction,
    _dead_calls,
    {"values": 1.5, "a Python float": 0.5},
    (
        WrongFunction(
            "dead_fraction counts individual zeros: ReLU produces many, but a unit is dead only if "
            "it is zero for every sample (slide 10).",
            lambda x: _share(x == 0),
        ),
        WrongFunction(
            "dead_fraction counts units that are zero for some sample: a dead unit is zero for "
            "every sample (slide 10).",
            lambda x: _share((x == 0).any(dim=0)),
        ),
        WrongFunction(
            "dead_fraction returns the fraction of units that are alive.",
            lambda x: 1 - _dead_fraction(x),
        ),
        WrongFunction(
            "dead_fraction treats whole channels as units: each position of a map is a unit.",
            lambda x: (
                _share((x == 0).flatten(2).all(dim=2).all(dim=0))
                if x.dim() > 2
                else _dead_fraction(x)
            ),
        ),
        WrongFunction(
            "dead_fraction counts negative activations as dead: only exact zeros count.",
            lambda x: _share((x <= 0).all(dim=0)),
        ),
        WrongFunction(
            "dead_fraction sums over the samples: positive and negative activations can cancel, "
            "but such a unit is alive.",
            lambda x: _share(x.sum(dim=0) == 0),
        ),
        WrongFunction(
            "dead_fraction counts small values as zeros: only exact zeros count.",
            lambda x: _share((x.abs() < 1e-6).all(dim=0)),
        ),
        WrongFunction(
            "dead_fraction counts samples that are zero everywhere: the exercise asks for units "
            "that are zero for every sample.",
            lambda x: _share((x == 0).flatten(1).all(dim=1)),
        ),
    ),
)

EXERCISES = (LEAKY_RELU, PRELU, ELU, SELU, DEAD_FRACTION)
