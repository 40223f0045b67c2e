"""Hidden tests of the plain and residual blocks (slides 36 to 45)."""

from torch import Tensor, nn
from torch.nn.functional import relu

from autograder.checks.blocks import BlockExercise, Build, Mistake, case
from autograder.checks.exercises.parts import (
    ALL_BUT_SHAPES,
    WrongBranch,
    conv,
    norm,
    residual_exercise,
)


def two_convolutions(in_channels: int, width: int, stride: int = 1) -> nn.Module:
    """Build the residual branch of a basic block."""
    return nn.Sequential(
        conv(in_channels, width, 3, stride),
        norm(width),
        nn.ReLU(),
        conv(width, width, 3),
        norm(width),
    )


def _no_relu_between(in_channels: int, width: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        conv(in_channels, width, 3, stride), norm(width), conv(width, width, 3), norm(width)
    )


def _relu6_between(in_channels: int, width: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        conv(in_channels, width, 3, stride),
        norm(width),
        nn.ReLU6(),
        conv(width, width, 3),
        norm(width),
    )


def _no_norm(in_channels: int, width: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(conv(in_channels, width, 3, stride), nn.ReLU(), conv(width, width, 3))


def _relu_before_norm(in_channels: int, width: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        conv(in_channels, width, 3, stride),
        nn.ReLU(),
        norm(width),
        conv(width, width, 3),
        norm(width),
    )


def _norm_first(in_channels: int, width: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        norm(in_channels),
        nn.ReLU(),
        conv(in_channels, width, 3, stride),
        norm(width),
        nn.ReLU(),
        conv(width, width, 3),
    )


def _stride_on_second(in_channels: int, width: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        conv(in_channels, width, 3),
        norm(width),
        nn.ReLU(),
        conv(width, width, 3, stride),
        norm(width),
    )


class _SharedNorm(nn.Module):
    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.first, self.second = conv(in_channels, width, 3, stride), conv(width, width, 3)
        self.norm = norm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.second(relu(self.norm(self.first(x)))))


NO_NORM = (
    "No batch norm follows the convolutions: a ResNet has it after each, which keeps activations "
    "in range during training (slide 45)."
)
SHARED_NORM = (
    "The two convolutions share one batch norm: each needs its own, because the statistics of "
    "their outputs differ (slide 45)."
)
RELU_BEFORE_NORM = (
    "A ReLU is between a convolution and its batch norm: the order is convolution, batch norm, "
    "ReLU (slide 45)."
)
WRONG_BRANCHES = (
    WrongBranch(
        "There is no ReLU between the two convolutions: without it, a single convolution could "
        "replace them (slide 40).",
        frozenset({"values"}),
        _no_relu_between,
    ),
    WrongBranch(
        "Between the convolutions, activations are clipped at 6: that is ReLU6, which mobile "
        "networks use, not ReLU (slide 40).",
        frozenset({"values"}),
        _relu6_between,
    ),
    WrongBranch(NO_NORM, ALL_BUT_SHAPES, _no_norm),
    WrongBranch(SHARED_NORM, ALL_BUT_SHAPES, _SharedNorm),
    WrongBranch(RELU_BEFORE_NORM, frozenset({"values"}), _relu_before_norm),
    WrongBranch(
        "Batch norm and ReLU come before the convolutions: that is the later pre-activation block; "
        "here they come after (slides 40 and 45).",
        ALL_BUT_SHAPES,
        _norm_first,
    ),
    WrongBranch(
        "The stride is on the second convolution: it belongs on the first, so that the second "
        "works on fewer positions (slide 42).",
        frozenset({"values", "modes"}),
        _stride_on_second,
    ),
)


def _then_relu(branch: Build) -> Build:
    return lambda *arguments, **options: nn.Sequential(branch(*arguments, **options), nn.ReLU())


def _relus_before_norms(in_channels: int, width: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        conv(in_channels, width, 3, stride),
        nn.ReLU(),
        norm(width),
        conv(width, width, 3),
        nn.ReLU(),
        norm(width),
    )


class _WithShortcut(nn.Module):
    """A plain block that adds its input."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.branch = two_convolutions(in_channels, out_channels, stride)
        self.fits = in_channels == out_channels and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.branch(x) + x if self.fits else self.branch(x))


CASES = (case(5, 5), case(8, 8, stride=1), case(4, 6), case(5, 5, stride=2), case(3, 8, stride=2))
PLAIN_BLOCK = BlockExercise(
    "plain_block",
    "PlainBlock",
    (case(5, 5), case(4, 6), case(3, 8, stride=2)),
    (0.25, 0.5, 0.75, 0.25, 0.25),
    references=(_then_relu(two_convolutions),),
    mistakes=(
        Mistake(
            "The block ends without a ReLU: in a plain network one follows every batch norm "
            "(slide 38).",
            frozenset({"values"}),
            two_convolutions,
        ),
        Mistake(
            "The plain block adds its input: it should have no shortcut, so that a residual block "
            "can be compared with it (slide 38).",
            frozenset({"values"}),
            _WithShortcut,
        ),
        Mistake(RELU_BEFORE_NORM, frozenset({"values"}), _relus_before_norms),
        *(
            Mistake(wrong.sentence, wrong.costs, _then_relu(wrong.build))
            for wrong in WRONG_BRANCHES
        ),
    ),
)
BASIC_BLOCK = residual_exercise(
    "basic_block",
    "BasicBlock",
    CASES,
    (0.5, 1, 2, 0.75, 0.75),
    (two_convolutions,),
    WRONG_BRANCHES,
)


def _bottleneck(
    in_channels: int, width: int, stride_1x1: int, stride_3x3: int, expansion: int = 4
) -> nn.Module:
    return nn.Sequential(
        conv(in_channels, width, 1, stride_1x1),
        norm(width),
        nn.ReLU(),
        conv(width, width, 3, stride_3x3),
        norm(width),
        nn.ReLU(),
        conv(width, expansion * width, 1),
        norm(expansion * width),
    )


def _stride_on_3x3(in_channels: int, width: int, stride: int = 1) -> nn.Module:
    return _bottleneck(in_channels, width, 1, stride)


def _stride_on_1x1(in_channels: int, width: int, stride: int = 1) -> nn.Module:
    return _bottleneck(in_channels, width, stride, 1)


def _without(*numbers: int) -> Build:
    """Return a builder of the bottleneck branch without some of its layers, counted from 0."""

    def build(in_channels: int, width: int, stride: int = 1) -> nn.Module:
        layers = list(_stride_on_3x3(in_channels, width, stride).children())
        return nn.Sequential(*(layer for i, layer in enumerate(layers) if i not in numbers))

    return build


def _stride_on_last(in_channels: int, width: int, stride: int = 1) -> nn.Module:
    branch = _stride_on_3x3(in_channels, width)
    branch[6] = conv(width, 4 * width, 1, stride)  # type: ignore[operator]
    return branch


BOTTLENECK = residual_exercise(
    "bottleneck",
    "Bottleneck",
    (case(16, 4), case(6, 4), case(16, 4, stride=2), case(10, 3, stride=2)),
    (0.5, 0.75, 1.5, 0.5, 0.75),
    (_stride_on_3x3, _stride_on_1x1),
    (
        WrongBranch(
            "A ReLU is missing between the three convolutions: each batch norm but the last is "
            "followed by one (slide 43).",
            frozenset({"values"}),
            _without(2),
        ),
        WrongBranch(
            "A ReLU is missing between the three convolutions: each batch norm but the last is "
            "followed by one (slide 43).",
            frozenset({"values"}),
            _without(5),
        ),
        WrongBranch(
            "A ReLU is missing between the three convolutions: each batch norm but the last is "
            "followed by one (slide 43).",
            frozenset({"values"}),
            _without(2, 5),
        ),
        WrongBranch(NO_NORM, ALL_BUT_SHAPES, _without(1, 4, 7)),
        WrongBranch(
            "The last 1x1 convolution has no batch norm: all three convolutions have one (slides "
            "43 and 45).",
            frozenset({"parameters", "modes"}),
            _without(7),
        ),
        WrongBranch(
            "The stride is on the last 1x1 convolution, so the 3x3 convolution works at full size: "
            "put the stride on an earlier convolution (slide 43).",
            frozenset({"values", "modes"}),
            _stride_on_last,
        ),
    ),
    out_channels=lambda in_channels, width: 4 * width,
)
EXERCISES = (PLAIN_BLOCK, BASIC_BLOCK, BOTTLENECK)
