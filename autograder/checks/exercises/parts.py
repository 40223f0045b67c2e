"""Parts that the references and the known mistakes of several exercises share.

They do not use the course's own package, so that a bug there cannot hide here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import pad, relu, relu6

from autograder.checks.blocks import BlockExercise, Build, Case, Mistake
from autograder.checks.student import Block

ALL_BUT_SHAPES = frozenset({"parameters", "values", "gradients", "modes"})


def conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: int = 1,
    groups: int = 1,
    bias: bool = False,
) -> nn.Conv2d:
    """Build a convolution with padding kernel_size // 2, which keeps the size at stride 1."""
    padding = kernel_size // 2
    return nn.Conv2d(
        in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=bias
    )


def norm(channels: int) -> nn.BatchNorm2d:
    """Build a batch norm with default settings."""
    return nn.BatchNorm2d(channels)


# The shortcuts of a residual block, correct and wrong.

Shortcut = Callable[[int, int, int], nn.Module]


def _needs_projection(in_channels: int, out_channels: int, stride: int) -> bool:
    return in_channels != out_channels or stride != 1


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Build a 1x1 convolution with batch norm, also where shapes agree."""
    return nn.Sequential(conv(in_channels, out_channels, 1, stride), norm(out_channels))


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Build the identity where shapes agree, otherwise a 1x1 convolution with batch norm."""
    if _needs_projection(in_channels, out_channels, stride):
        return projection(in_channels, out_channels, stride)
    return nn.Identity()


def shortcut_without_norm(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Build a shortcut whose projection has no batch norm."""
    if _needs_projection(in_channels, out_channels, stride):
        return conv(in_channels, out_channels, 1, stride)
    return nn.Identity()


def no_shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Build an identity, for blocks that ignore their shortcut."""
    return nn.Identity()


class ZeroPadded(nn.Module):
    """The paper's option A: subsampled pixels, and channels of zeros at the end."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride, self.missing = stride, out_channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return pad(x, (0, 0, 0, 0, 0, self.missing)) if self.missing > 0 else x


class ZeroPaddedOnBothSides(ZeroPadded):
    """Option A with the channels of zeros on both sides."""

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        before = self.missing // 2
        return pad(x, (0, 0, 0, 0, before, self.missing - before)) if self.missing > 0 else x


# The ways to join branch and shortcut, correct and wrong.

Join = Callable[[Tensor, Tensor], Tensor]


def add_then_relu(branch: Tensor, shortcut: Tensor) -> Tensor:
    """Join two tensors (N, C, H, W) correctly."""
    return relu(branch + shortcut)


def relu_then_add(branch: Tensor, shortcut: Tensor) -> Tensor:
    """Join two tensors (N, C, H, W), with the ReLU on the branch."""
    return relu(branch) + shortcut


def add(branch: Tensor, shortcut: Tensor) -> Tensor:
    """Join two tensors (N, C, H, W) without a ReLU."""
    return branch + shortcut


def add_then_relu6(branch: Tensor, shortcut: Tensor) -> Tensor:
    """Join two tensors (N, C, H, W) with ReLU6."""
    return relu6(branch + shortcut)


def multiply_then_relu(branch: Tensor, shortcut: Tensor) -> Tensor:
    """Join two tensors (N, C, H, W) by multiplication."""
    return relu(branch * shortcut)


def branch_alone(branch: Tensor, shortcut: Tensor) -> Tensor:
    """Return the branch (N, C, H, W) with a ReLU, without the shortcut."""
    return relu(branch)


class Joined(nn.Module):
    """A residual block: a branch and a shortcut that are joined."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module, join: Join) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        return self.join(self.branch(x), self.shortcut(x))


# Common mistakes: shortcut, join, the parts that the mistake costs, the sentence.
WRONG_ENDS: tuple[tuple[Shortcut, Join, set[str], str], ...] = (
    (
        shortcut,
        relu_then_add,
        {"values"},
        "The last ReLU comes before the addition, so the residual branch can only add, never "
        "subtract: look at where the shortcut joins the branch (slide 40).",
    ),
    (
        shortcut,
        add,
        {"values"},
        "No ReLU follows the addition: the building block ends with one (slide 40).",
    ),
    (
        shortcut,
        add_then_relu6,
        {"values"},
        "Activations are clipped at 6: that is ReLU6, which mobile networks use; a residual block "
        "has the plain ReLU (slide 40).",
    ),
    (
        shortcut,
        multiply_then_relu,
        {"values", "gradients", "modes"},
        "Branch and shortcut are multiplied: they should be added, so that the gradient passes "
        "through the shortcut unchanged (slide 40).",
    ),
    (
        no_shortcut,
        branch_alone,
        {"values", "gradients", "modes"},
        "Nothing is added to the output of the convolutions: this is a plain block; a residual "
        "block adds its input through the shortcut (slides 40 and 41).",
    ),
    (
        projection,
        add_then_relu,
        {"parameters", "values"},
        "The shortcut has a convolution although input and output have the same shape: there the "
        "input should pass unchanged, so that the identity is easy to learn (slide 41).",
    ),
    (
        shortcut_without_norm,
        add_then_relu,
        {"parameters", "modes"},
        "The convolution on the shortcut has no batch norm: in a ResNet batch norm follows every "
        "convolution, this one too (slide 45).",
    ),
    (
        ZeroPadded,
        add_then_relu,
        {"parameters", "values", "modes"},
        "Where shapes differ, the shortcut is padded with zeros, the paper's option A: this "
        "exercise asks for a projection (slide 42).",
    ),
    (
        ZeroPaddedOnBothSides,
        add_then_relu,
        {"parameters", "values", "modes"},
        "Where shapes differ, the shortcut is padded with zeros, the paper's option A: this "
        "exercise asks for a projection (slide 42).",
    ),
)


@dataclass(frozen=True)
class WrongBranch:
    """A mistake between the block's input and the addition.

    Args:
        sentence: what a student who makes it is told.
        costs: the parts that it costs.
        build: builds a branch that makes it.
    """

    sentence: str
    costs: frozenset[str]
    build: Build


def residual_exercise(
    name: str,
    answer: str,
    cases: tuple[Case, ...],
    marks: tuple[float, ...],
    branches: tuple[Build, ...],
    wrong_branches: tuple[WrongBranch, ...] = (),
    out_channels: Callable[..., int] = lambda in_channels, width: width,
    others: tuple[Mistake, ...] = (),
    builds_on: Mapping[str, Any] | None = None,
) -> BlockExercise:
    """Make the exercise of a block with a shortcut.

    Args:
        name: the name of the exercise.
        answer: the name of the student's class.
        cases: the cases in which the block is built.
        marks: the marks of each part.
        branches: every correct way to build the branch, with the arguments of the block.
        wrong_branches: the known mistakes in the branch.
        out_channels: returns the block's output channels from its positional arguments.
        others: the known mistakes elsewhere.
        builds_on: reference versions of earlier answers that the block may use, by name.
    """

    def builder(branch: Build, shortcut: Shortcut, join: Join) -> Build:
        def build(*arguments: int, stride: int = 1, **options: int) -> nn.Module:
            path = shortcut(arguments[0], out_channels(*arguments), stride)
            return Joined(branch(*arguments, stride=stride, **options), path, join)

        return build

    ends = (
        Mistake(sentence, frozenset(costs), builder(branch, shortcut, join))
        for shortcut, join, costs, sentence in WRONG_ENDS
        for branch in branches
    )
    inside = (
        Mistake(wrong.sentence, wrong.costs, builder(wrong.build, shortcut, add_then_relu))
        for wrong in wrong_branches
    )
    return BlockExercise(
        name,
        answer,
        cases,
        marks,
        references=tuple(builder(branch, shortcut, add_then_relu) for branch in branches),
        mistakes=(*others, *ends, *inside),
        shape_hint=lambda case, block: why_paths_differ(case, out_channels(*case.arguments), block),
        builds_on=builds_on or {},
    )


def why_paths_differ(case: Case, out_channels: int, block: Block) -> str | None:
    """Explain why branch and shortcut do not fit, from shapes and strides of the convolutions."""
    stride = case.options.get("stride", 1)
    if not _needs_projection(case.channels, out_channels, stride):
        return None
    convolutions = block.convolutions()
    one_by_one = (out_channels, case.channels, 1, 1)
    shortcut_strides = [stride for shape, stride in convolutions if shape == one_by_one]
    strided = sum(stride > 1 for _, stride in convolutions)
    if not shortcut_strides:
        return (
            f"{block.label} has no convolution on its shortcut, so shortcut and branch differ in "
            "shape: a new number of channels or a new size requires a projection (slide 42)."
        )
    if stride > 1 and max(shortcut_strides) == 1:
        return (
            f"The shortcut of {block.label} ignores the stride, so its output is larger than that "
            "of the branch: both paths need the same stride (slide 42)."
        )
    if strided > 2:
        return (
            f"{block.label} has the stride on more than one convolution of its branch: only one of "
            "them has the stride, the others keep the size (slide 42)."
        )
    return None
