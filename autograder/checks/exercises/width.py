"""Hidden tests of the ResNeXt block (slide 55)."""

from torch import nn

from autograder.checks.blocks import case
from autograder.checks.exercises.parts import (
    ALL_BUT_SHAPES,
    WrongBranch,
    conv,
    norm,
    residual_exercise,
)


def _branch(
    in_channels: int,
    width: int,
    cardinality: int,
    out_channels: int,
    stride: int = 1,
    strides: tuple[int, int, int] | None = None,
) -> nn.Sequential:
    """Build the three convolutions, by default with the stride on the second."""
    first, second, third = strides or (1, stride, 1)
    return nn.Sequential(
        conv(in_channels, width, 1, first),
        norm(width),
        nn.ReLU(),
        conv(width, width, 3, second, groups=cardinality),
        norm(width),
        nn.ReLU(),
        conv(width, out_channels, 1, third),
        norm(out_channels),
    )


def _ungrouped(
    in_channels: int, width: int, cardinality: int, out_channels: int, stride: int = 1
) -> nn.Module:
    return _branch(in_channels, width, 1, out_channels, stride)


def _paths_of_width(
    in_channels: int, width: int, cardinality: int, out_channels: int, stride: int = 1
) -> nn.Module:
    return _branch(in_channels, width * cardinality, cardinality, out_channels, stride)


def _depthwise(
    in_channels: int, width: int, cardinality: int, out_channels: int, stride: int = 1
) -> nn.Module:
    return _branch(in_channels, width, width, out_channels, stride)


def _stride_on_first(
    in_channels: int, width: int, cardinality: int, out_channels: int, stride: int = 1
) -> nn.Module:
    return _branch(in_channels, width, cardinality, out_channels, strides=(stride, 1, 1))


def _stride_on_last(
    in_channels: int, width: int, cardinality: int, out_channels: int, stride: int = 1
) -> nn.Module:
    return _branch(in_channels, width, cardinality, out_channels, strides=(1, 1, stride))


def _no_relus(
    in_channels: int, width: int, cardinality: int, out_channels: int, stride: int = 1
) -> nn.Module:
    layers = _branch(in_channels, width, cardinality, out_channels, stride)
    return nn.Sequential(*(layer for layer in layers if not isinstance(layer, nn.ReLU)))


def _no_norms(
    in_channels: int, width: int, cardinality: int, out_channels: int, stride: int = 1
) -> nn.Module:
    layers = _branch(in_channels, width, cardinality, out_channels, stride)
    return nn.Sequential(*(layer for layer in layers if not isinstance(layer, nn.BatchNorm2d)))


MOVED_STRIDE = (
    "The stride is not on the grouped 3x3 convolution, where it belongs: a 1x1 convolution with "
    "stride 2 skips three of four pixels (slide 55)."
)
RESNEXT_BLOCK = residual_exercise(
    "resnext_block",
    "ResNeXtBlock",
    (
        case(12, 8, 4, 12),
        case(6, 8, 2, 12),
        case(12, 6, 3, 12, stride=2),
        case(5, 8, 4, 10, stride=2),
    ),
    (0.25, 1, 1.5, 0.5, 0.75),
    (_branch,),
    (
        WrongBranch(
            "The 3x3 convolution is not grouped: cardinality is the number of separate paths, and "
            "each sees only its own channels (slide 55).",
            frozenset({"parameters", "values"}),
            _ungrouped,
        ),
        WrongBranch(
            "Each path has `width` channels: here `width` counts the channels of all paths "
            "together (slide 55).",
            frozenset({"parameters", "values"}),
            _paths_of_width,
        ),
        WrongBranch(
            "Every channel is its own path: that is a depthwise convolution; here there are "
            "`cardinality` paths (slides 55 and 61).",
            frozenset({"parameters", "values"}),
            _depthwise,
        ),
        WrongBranch(MOVED_STRIDE, frozenset({"values", "modes"}), _stride_on_first),
        WrongBranch(MOVED_STRIDE, frozenset({"values", "modes"}), _stride_on_last),
        WrongBranch(
            "There is no ReLU between the three convolutions: each batch norm but the last is "
            "followed by one (slide 55).",
            frozenset({"values"}),
            _no_relus,
        ),
        WrongBranch(
            "No batch norm follows the convolutions: each of the three has one (slides 45 and 55).",
            ALL_BUT_SHAPES,
            _no_norms,
        ),
    ),
    out_channels=lambda in_channels, width, cardinality, out_channels: out_channels,
)
EXERCISES = (RESNEXT_BLOCK,)
