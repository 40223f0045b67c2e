"""Hidden tests of functions that change a block's weights (slides 41 and 45).

They are He's initialisation and the weights that make a residual block the identity.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor, nn

from autograder.checks.earlier_answers import redefined
from autograder.checks.equivalence import close
from autograder.checks.student import StudentError, open_block
from autograder.checks.verdict import Part, Verdict
from convnets.seeding import fixed_seed

# Relative to the standard deviation of 9,000 or more weights, which varies by less than 0.8 %.
DEVIATION_TOLERANCE = 0.06
# The kurtosis of a normal variable, and eight times its standard error for 9,000 samples.
KURTOSIS, KURTOSIS_TOLERANCE = 3.0, 0.42


def _layers() -> nn.Module:
    """Build a network with layers of all kinds, some nested or grouped."""
    return nn.Sequential(
        nn.Conv2d(16, 64, 3),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Sequential(nn.Conv2d(64, 128, 3, groups=2), nn.BatchNorm2d(128)),
        nn.Conv2d(128, 96, 1, bias=False),
        nn.Flatten(),
        nn.Linear(96, 10),
    )


def _one_convolution() -> nn.Module:
    return nn.Conv2d(32, 48, 3)


@dataclass(frozen=True)
class Fan:
    """A wrong rule for the standard deviation of a convolution's weights.

    Args:
        sentence: what a student who follows the rule is told.
        deviation: computes the standard deviation from the weight (out, in // groups, kH, kW)
            and the number of groups.
    """

    sentence: str
    deviation: Callable[[Tensor, int], float]


def _area(weight: Tensor) -> int:
    return weight.shape[2] * weight.shape[3]


def he(weight: Tensor) -> float:
    """Return He's standard deviation sqrt(2 / fan_out), fan_out = out_channels * kernel area.

    He et al., Delving deep into rectifiers, 2015, equation 14.

    Args:
        weight: (out_channels, in_channels // groups, kH, kW).
    """
    return math.sqrt(2 / (weight.shape[0] * _area(weight)))


WRONG_FANS = (
    Fan(
        "The standard deviation of the weights follows the fan-in: the exercise asks for the "
        "fan-out, which preserves the size of the gradients in the backward pass (slide 45).",
        lambda weight, groups: math.sqrt(2 / (weight.shape[1] * _area(weight))),
    ),
    Fan(
        "The standard deviation lacks the factor 2 for ReLU, which lets half of the signal pass "
        "(slide 45).",
        lambda weight, groups: he(weight) / math.sqrt(2),
    ),
    Fan(
        "The standard deviation is that of Xavier initialisation, which does not account for ReLU "
        "(slide 45).",
        lambda weight, groups: math.sqrt(2 / ((weight.shape[0] + weight.shape[1]) * _area(weight))),
    ),
    Fan(
        "The kernel's area is missing from the fan-out, which is out_channels * height * width of "
        "the kernel (slide 45).",
        lambda weight, groups: math.sqrt(2 / weight.shape[0]),
    ),
    Fan(
        "The variance is used as the standard deviation: take its square root (slide 45).",
        lambda weight, groups: he(weight) ** 2,
    ),
)
GROUPS = {"3.0.weight": 2}


@dataclass(frozen=True)
class KaimingInit:
    """The exercise `kaiming_init_`: He's initialisation in place."""

    name: str = "kaiming_init"
    answers: tuple[str, ...] = ("kaiming_init_",)
    points: float = 3.0
    builds_on: Mapping[str, Any] = field(default_factory=dict)
    sentences: frozenset[str] = frozenset()

    def examine(self, function: Any, *, seed: int) -> Verdict:
        """Mark a student's function; `seed` seeds the initial weights."""
        wrong: dict[str, str] = {}
        for build in (_layers, _one_convolution):
            with fixed_seed(seed):
                wrong = {**_wrongly_initialised(build, function), **wrong}
        marks = {"convolutions": 1.5, "biases": 0.5, "batch norms": 0.5, "in place": 0.5}
        return Verdict(
            tuple(
                Part(part, 0.0 if part in wrong else out_of, out_of, wrong.get(part, ""))
                for part, out_of in marks.items()
            )
        )


def _wrongly_initialised(build: Callable[[], nn.Module], function: Any) -> dict[str, str]:
    """Return the parts that are wrong, each with its sentence."""
    wrong = {}
    shapes = {name: tensor.shape for name, tensor in build().state_dict().items()}
    try:
        block = open_block(redefined(build, function))
        block.label = "a network" if build is _layers else "a single Conv2d"
        given = {name: 3 + tensor for name, tensor in block.state().items()}
        block.load(given)
        returned = block.change(function, "kaiming_init_")
        state = block.state()
        if any(
            {name: one.shape for name, one in each.items()} != shapes for each in (given, state)
        ):
            raise StudentError(
                "kaiming_init_ removes or replaces parameters: it should only change their values."
            )
    except StudentError as error:
        return dict.fromkeys(("convolutions", "biases", "batch norms", "in place"), str(error))
    if not returned:
        wrong["in place"] = "kaiming_init_ does not return the module that it was given."
    for name, tensor in state.items():
        if tensor.dim() == 4:
            if torch.equal(tensor, given[name]):
                wrong["in place"] = wrong["convolutions"] = (
                    f"kaiming_init_ leaves a convolution of {block.label} as it was: it must "
                    "change all of them in place, nested ones too; the module itself may be one."
                )
            elif sentence := _wrong_weights(tensor, GROUPS.get(name, 1)):
                wrong["convolutions"] = sentence
    for name in ("0.bias", "3.0.bias", "bias"):
        if name in state and bool(state[name].any()):
            wrong["biases"] = "The biases of convolutions start at zero."
    for name in ("1", "3.1"):
        if f"{name}.weight" in state:
            plain = bool((state[f"{name}.weight"] == 1).all() and not state[f"{name}.bias"].any())
            if not plain:
                wrong["batch norms"] = "Batch norm starts with scale 1 and shift 0."
    return wrong


def _wrong_weights(weight: Tensor, groups: int) -> str | None:
    """Return a sentence if weights (out, in // groups, kH, kW) are not He-normal by fan-out."""
    weight = weight.double()
    deviation = weight.std().item()
    centred = (weight - weight.mean()) / weight.std()
    is_normal = abs((centred**4).mean().item() - KURTOSIS) < KURTOSIS_TOLERANCE
    if _near(deviation, he(weight)):
        if abs(weight.mean().item()) > 8 * deviation / math.sqrt(weight.numel()):
            return "The mean of the weights is not 0 (slide 45)."
        if is_normal:
            return None
        return (
            "The weights are not normally distributed: the exercise asks for a normal distribution."
        )
    if groups > 1 and _near(deviation, he(weight) * math.sqrt(groups)):
        return (
            "The fan-out of a grouped convolution is divided by the number of groups: here it "
            "should not be."
        )
    for fan in WRONG_FANS:
        if _near(deviation, fan.deviation(weight, groups)):
            return fan.sentence
    return (
        f"The weights of a convolution of shape {tuple(weight.shape)} have the wrong standard "
        "deviation (slide 45)."
    )


def _near(found: float, expected: float) -> bool:
    return abs(found / expected - 1) < DEVIATION_TOLERANCE


class BasicBlock(nn.Module):
    """The reference of stride 1, for students whose own block is wrong.

    (N, C, H, W) -> (N, C, H, W). Its source is run on the student's side, so it uses no names of
    this module.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(branch + x)


CHANNELS = (4, 6)
EVAL = (
    "After identity_block, the block changes its input in eval mode: what must the residual F(x) "
    "be, and which weights of a trained block still affect it (slide 41)?"
)
TRAIN = (
    "After identity_block, the block changes its input in train mode, where batch norm uses the "
    "statistics of the batch: only its scale and shift have an effect there (slides 41 and 45)."
)
REMOVED = (
    "identity_block removes or replaces parameters: all must stay, so that training can continue "
    "(slide 41)."
)
REBUILT = (
    "After identity_block, loading the old weights no longer restores the block: change only "
    "weights, not how the block computes (slide 41)."
)


@dataclass(frozen=True)
class IdentityBlock:
    """The exercise `identity_block`: weights that make a residual block the identity (slide 41)."""

    name: str = "identity_block"
    answers: tuple[str, ...] = ("identity_block", "BasicBlock")
    points: float = 3.0
    builds_on: Mapping[str, Any] = field(default_factory=lambda: {"BasicBlock": BasicBlock})
    sentences: frozenset[str] = frozenset({EVAL, TRAIN, REMOVED, REBUILT})

    def examine(self, function: Any, block_class: Any, *, seed: int) -> Verdict:
        """Mark a student's function; `seed` seeds inputs and weights."""
        generator = torch.Generator().manual_seed(seed)
        wrong: dict[str, str] = {}
        for channels in CHANNELS:
            wrong = {**_not_identical(function, block_class, channels, generator), **wrong}
        return Verdict(
            tuple(
                Part(part, 0.0 if part in wrong else 1.0, 1.0, wrong.get(part, ""))
                for part in ("eval mode", "train mode", "what stays")
            )
        )


def _not_identical(
    function: Any, block_class: Any, channels: int, generator: Generator
) -> dict[str, str]:
    """Return the parts that are wrong, each with its sentence."""
    wrong = {}
    inputs = [
        torch.rand(*size, generator=generator, dtype=torch.float64) * 4
        for size in ((2, channels, 8, 8), (1, channels, 5, 7))
    ]
    try:
        block = open_block(block_class, channels, channels)
        trained = {
            name: _as_if_trained(name, tensor, generator) for name, tensor in block.state().items()
        }
        block.load(trained)
        before = block.forward(inputs[0])
        block.change(function, "identity_block")
        if not all(close(block.forward(x), x) for x in inputs):
            wrong["eval mode"] = EVAL
        if not all(close(block.forward(x, training=True), x) for x in inputs):
            wrong["train mode"] = TRAIN
        state = block.state()
        if {name: tensor.shape for name, tensor in state.items()} != {
            name: tensor.shape for name, tensor in trained.items()
        }:
            wrong["what stays"] = REMOVED
        else:
            block.load(trained)
            if not close(block.forward(inputs[0]), before):
                wrong["what stays"] = REBUILT
    except StudentError as error:
        for part in ("eval mode", "train mode", "what stays"):
            wrong.setdefault(part, str(error))
    return wrong


def _as_if_trained(name: str, tensor: Tensor, generator: Generator) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    noise = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
    return noise + 0.5 if tensor.dim() == 1 else noise - 0.5


EXERCISES = (KaimingInit(), IdentityBlock())
