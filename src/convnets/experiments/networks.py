"""What the networks of several experiments are made of, and how they are trained."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

from torch import nn

from convnets.experiments.core import (
    CHANNELS,
    CLASSES,
    Budget,
    Build,
    Quantity,
    closest,
)
from convnets.layers import conv_norm_act
from convnets.models.resnet import BasicBlock, ResNet
from convnets.training.recipes import Recipe

# He et al. (2016), section 4.2, but for the schedule: one cycle suits short training better.
NORMALISED = Recipe(
    epochs=1, batch_size=128, learning_rate=0.1, weight_decay=1e-4, schedule="one-cycle"
)
# A CPU sees few images; smaller batches make more steps of them.
SHORT = replace(NORMALISED, batch_size=64)
# Without batch norm a step must not be too large.
NOT_NORMALISED = Recipe(
    epochs=1, batch_size=128, learning_rate=0.05, schedule="one-cycle", clip_norm=1.0
)
SHORT_NOT_NORMALISED = replace(NOT_NORMALISED, batch_size=64)

Block = Callable[[int, int, int], nn.Module]
"""in_channels, out_channels, stride -> a block."""

option_a = partial(BasicBlock, option="A")


def stem(budget: Budget, in_channels: int, width: int) -> nn.Module:
    """A 3x3 convolution with batch norm and ReLU, and the budget's stride."""
    return conv_norm_act(in_channels, width, 3, budget.stem_stride)


def bare_stem(budget: Budget, in_channels: int, width: int) -> nn.Module:
    """A 3x3 convolution only: the first block has its own batch norm and ReLU."""
    conv = nn.Conv2d(in_channels, width, 3, budget.stem_stride, padding=1, bias=False)
    return nn.Sequential(OrderedDict(conv=conv))


def stages(block: Block, blocks: int = 3, widening: int = 1) -> Build:
    """Three stages of so many blocks, of 1, 2 and 4 times the budget's width.

    Args:
        widening: the stages, not the stem, are so many times as wide again.
    """

    def build(budget: Budget) -> nn.Module:
        return of_width(block, budget, budget.width * widening, blocks)

    return build


def of_width(block: Block, budget: Budget, width: int, blocks: int = 3) -> nn.Module:
    """Three stages of so many blocks, of 1, 2 and 4 times `width`."""
    return ResNet(
        block,
        (blocks,) * 3,
        (budget.width, width, 2 * width, 4 * width),
        partial(stem, budget),
        CLASSES,
        CHANNELS,
    )


def matched(
    make: Callable[[Budget, int], nn.Module], target: Build, quantity: Quantity, sizes: range
) -> Build:
    """`make` with the size at which it costs most nearly what `target` costs."""

    @cache
    def size(budget: Budget) -> int:
        return closest(partial(make, budget), target(budget), quantity, sizes)

    return lambda budget: make(budget, size(budget))
