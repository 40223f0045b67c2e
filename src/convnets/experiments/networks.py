"""Blocks, stages and recipes that several experiments share."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

from torch import nn

from convnets.experiments.core import (
    IN_CHANNELS,
    NUM_CLASSES,
    Budget,
    Build,
    Quantity,
    closest,
)
from convnets.layers import conv_norm_act
from convnets.models.resnet import BasicBlock, ResNet
from convnets.training.recipes import Recipe

# He et al. (2016), section 4.2, except for the schedule: one cycle suits short training better.
NORMALISED = Recipe(
    epochs=1, batch_size=128, learning_rate=0.1, weight_decay=1e-4, schedule="one-cycle"
)
# On a CPU the images are few; smaller batches give more steps.
SHORT = replace(NORMALISED, batch_size=64)
# Without batch norm, steps have to be smaller.
NOT_NORMALISED = Recipe(
    epochs=1, batch_size=128, learning_rate=0.05, schedule="one-cycle", clip_norm=1.0
)
SHORT_NOT_NORMALISED = replace(NOT_NORMALISED, batch_size=64)

Block = Callable[[int, int, int], nn.Module]
"""Makes a block from in_channels, out_channels and stride:
(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""

option_a = partial(BasicBlock, option="A")
"""A basic block whose shortcuts have no parameters: He et al. (2016), section 3.3, option A."""


def stem(budget: Budget, in_channels: int, width: int) -> nn.Module:
    """A 3x3 convolution with batch norm, ReLU and the budget's stride.

    (N, in_channels, H, W) -> (N, width, H / stride, W / stride).
    """
    return conv_norm_act(in_channels, width, 3, budget.stem_stride)


def bare_stem(budget: Budget, in_channels: int, width: int) -> nn.Module:
    """A 3x3 convolution with the budget's stride, for networks whose first block normalises it.

    (N, in_channels, H, W) -> (N, width, H / stride, W / stride).
    """
    conv = nn.Conv2d(in_channels, width, 3, budget.stem_stride, padding=1, bias=False)
    return nn.Sequential(OrderedDict(conv=conv))


def stages(block: Block, blocks: int = 3, widening: int = 1) -> Build:
    """A network of three stages with 1, 2 and 4 times the budget's width.

    Args:
        block: Makes each block.
        blocks: Blocks in each stage.
        widening: Factor by which the stages, but not the stem, are wider.
    """

    def build(budget: Budget) -> nn.Module:
        return of_width(block, budget, budget.width * widening, blocks)

    return build


def of_width(block: Block, budget: Budget, width: int, blocks: int = 3) -> nn.Module:
    """A network of three stages with 1, 2 and 4 times `width` channels.

    (N, 1, 28, 28) -> (N, 10). The stem has the budget's width.
    """
    return ResNet(
        block,
        (blocks,) * 3,
        (budget.width, width, 2 * width, 4 * width),
        partial(stem, budget),
        NUM_CLASSES,
        IN_CHANNELS,
    )


def matched(
    make: Callable[[Budget, int], nn.Module], target: Build, quantity: Quantity, sizes: range
) -> Build:
    """`make`, with the size for which its cost is closest to that of `target`.

    Args:
        make: Makes a network of a given size for a budget.
        target: Makes the network whose cost is to be matched.
        quantity: The cost to match, "parameters" or "macs".
        sizes: The candidates, in increasing order.
    """

    @cache
    def size(budget: Budget) -> int:
        return closest(partial(make, budget), partial(target, budget), quantity, sizes)

    return lambda budget: make(budget, size(budget))
