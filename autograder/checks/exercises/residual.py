"""Hidden tests of the residual blocks: slides 36 to 45.

The references are plain and private; the course's own package is not used.
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import relu

from autograder.checks.blocks import BlockExercise, Build, Case, Mistake, case
from autograder.checks.student import Block

# The residual branches.


def _conv(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> nn.Conv2d:
    padding = kernel_size // 2
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False)


def _basic(in_channels: int, width: int, stride: int) -> nn.Module:
    return nn.Sequential(
        _conv(in_channels, width, 3, stride),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        _conv(width, width, 3),
        nn.BatchNorm2d(width),
    )


def _bottleneck(in_channels: int, width: int, stride_1x1: int, stride_3x3: int) -> nn.Module:
    return nn.Sequential(
        _conv(in_channels, width, 1, stride_1x1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        _conv(width, width, 3, stride_3x3),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        _conv(width, 4 * width, 1),
        nn.BatchNorm2d(4 * width),
    )


def _stride_on_3x3(in_channels: int, width: int, stride: int) -> nn.Module:
    return _bottleneck(in_channels, width, 1, stride)


def _stride_on_1x1(in_channels: int, width: int, stride: int) -> nn.Module:
    return _bottleneck(in_channels, width, stride, 1)


EXPANSION = {"BasicBlock": 1, "Bottleneck": 4}
# Every right way to write the branch, by class.
BRANCHES: dict[str, tuple[Build, ...]] = {
    "BasicBlock": (_basic,),
    "Bottleneck": (_stride_on_3x3, _stride_on_1x1),
}

# The shortcuts, right and wrong.

Shortcut = Callable[[int, int, int], nn.Module]


def _needs_projection(in_channels: int, out_channels: int, stride: int) -> bool:
    return in_channels != out_channels or stride != 1


def _projection(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    return nn.Sequential(_conv(in_channels, out_channels, 1, stride), nn.BatchNorm2d(out_channels))


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if _needs_projection(in_channels, out_channels, stride):
        return _projection(in_channels, out_channels, stride)
    return nn.Identity()


def _shortcut_without_norm(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if _needs_projection(in_channels, out_channels, stride):
        return _conv(in_channels, out_channels, 1, stride)
    return nn.Identity()


def _no_shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    return nn.Identity()


# The ways to put branch and shortcut together, right and wrong.

Join = Callable[[Tensor, Tensor], Tensor]


def _add_then_relu(branch: Tensor, shortcut: Tensor) -> Tensor:
    return relu(branch + shortcut)


def _relu_then_add(branch: Tensor, shortcut: Tensor) -> Tensor:
    return relu(branch) + shortcut


def _add(branch: Tensor, shortcut: Tensor) -> Tensor:
    return branch + shortcut


def _branch_alone(branch: Tensor, shortcut: Tensor) -> Tensor:
    return relu(branch)


class _Block(nn.Module):
    def __init__(self, branch: nn.Module, shortcut: nn.Module, join: Join) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        return self.join(self.branch(x), self.shortcut(x))


# What students often write instead: shortcut, join, the parts that it costs, the sentence.
MISTAKES: tuple[tuple[Shortcut, Join, set[str], str], ...] = (
    (
        _shortcut,
        _relu_then_add,
        {"values"},
        "The last ReLU comes before the addition, so the residual can only add, never subtract: "
        "look at where the shortcut joins in the building block (slide 40).",
    ),
    (
        _shortcut,
        _add,
        {"values"},
        "No ReLU follows the addition: the building block ends with one (slide 40).",
    ),
    (
        _no_shortcut,
        _branch_alone,
        {"values", "gradients", "modes"},
        "Nothing is added to what the convolutions compute: this is a plain block, and residual "
        "learning is about what the shortcut carries (slides 40 and 41).",
    ),
    (
        _projection,
        _add_then_relu,
        {"parameters", "values"},
        "The shortcut has a convolution although input and output have the same shape: there the "
        "input should pass unchanged, so that doing nothing is easy to learn (slide 41).",
    ),
    (
        _shortcut_without_norm,
        _add_then_relu,
        {"parameters", "modes"},
        "The convolution on the shortcut has no batch norm: in a ResNet batch norm follows every "
        "convolution, this one too (slide 45).",
    ),
)


def _exercise(
    name: str, answer: str, cases: tuple[Case, ...], marks: tuple[float, ...]
) -> BlockExercise:
    expansion = EXPANSION[answer]

    def builder(branch: Build, shortcut: Shortcut, join: Join) -> Build:
        def build(in_channels: int, width: int, stride: int = 1) -> nn.Module:
            path = shortcut(in_channels, expansion * width, stride)
            return _Block(branch(in_channels, width, stride), path, join)

        return build

    return BlockExercise(
        name,
        answer,
        cases,
        marks,
        right=tuple(builder(branch, _shortcut, _add_then_relu) for branch in BRANCHES[answer]),
        mistakes=tuple(
            Mistake(sentence, frozenset(costs), builder(branch, shortcut, join))
            for shortcut, join, costs, sentence in MISTAKES
            for branch in BRANCHES[answer]
        ),
        shape_hint=lambda case, block: _why_paths_differ(case, expansion, block),
    )


def _why_paths_differ(case: Case, expansion: int, block: Block) -> str | None:
    """Why branch and shortcut do not fit, from the shapes and strides of the convolutions."""
    in_channels, out_channels = case.channels, expansion * case.arguments[1]
    needs_stride = case.options.get("stride", 1) > 1
    if in_channels == out_channels and not needs_stride:
        return None
    convolutions = block.convolutions()
    one_by_one = (out_channels, in_channels, 1, 1)
    shortcut_strides = [stride for shape, stride in convolutions if shape == one_by_one]
    strided = sum(stride > 1 for _, stride in convolutions)
    if not shortcut_strides:
        return (
            f"{block.label} has no convolution on its shortcut, so the input does not fit what it "
            "is added to: new channels or a new size call for a projection (slide 42)."
        )
    if needs_stride and max(shortcut_strides) == 1:
        return (
            f"The shortcut of {block.label} ignores the stride, so it stays larger than what it "
            "is added to: both paths must shrink the image alike (slide 42)."
        )
    if strided > 2:
        return (
            f"{block.label} shrinks the image more than once on its way through the convolutions: "
            "one of them has the stride, the others keep the size (slide 42)."
        )
    return None


BASIC_BLOCK = _exercise(
    "basic_block",
    "BasicBlock",
    (case(5, 5), case(8, 8, stride=1), case(4, 6), case(5, 5, stride=2), case(3, 8, stride=2)),
    (0.5, 1, 2, 0.75, 0.75),
)
BOTTLENECK = _exercise(
    "bottleneck",
    "Bottleneck",
    (case(16, 4), case(6, 4), case(16, 4, stride=2), case(10, 3, stride=2)),
    (0.5, 1, 1.5, 0.5, 0.5),
)
EXERCISES = (BASIC_BLOCK, BOTTLENECK)
