"""Slides 42 to 45: the ResNets and their training."""

from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise

import torch
from torch import nn

from convnets.analysis import Trace, trace
from convnets.lecture.measure import (
    convolutions,
    count,
    depth,
    network,
    size,
    top1_error,
    traced,
    weights,
)
from convnets.lecture.papers import TRAINING
from convnets.lecture.rows import Claim, Value
from convnets.models.resnet import TABLE_1, BasicBlock, Bottleneck, ResidualBlock
from convnets.registry import card

PAPER = TRAINING["resnet"]
SIDE, CHANNELS = 28, 256
"""Side in pixels and channels of the blocks on slide 43."""


@cache
def block(make: Callable[[int, int], ResidualBlock]) -> Trace:
    """Layers of a block with slide 43's input and output."""
    with torch.device("meta"):
        return trace(make(CHANNELS, CHANNELS), SIDE)


def sizes(make: Callable[[int, int], ResidualBlock]) -> Value:
    return tuple(size(row) for row in convolutions(block(make)))


def blocks(name: str) -> list[ResidualBlock]:
    return [module for module in network(name).modules() if isinstance(module, ResidualBlock)]


def shortcuts_are_identities_unless_sizes_grow() -> bool:
    for each in blocks("resnet34"):
        first = each.residual.get_submodule("conv1")
        assert isinstance(first, nn.Conv2d)
        grows = first.in_channels != first.out_channels
        if grows == isinstance(each.shortcut, nn.Identity):
            return False
    return True


def with_bottlenecks() -> str:
    """The ResNets for ImageNet with bottlenecks, not counting variants with other strides."""
    ours = [card(f"resnet{number}") for number in TABLE_1]
    return ", ".join(each.title for each in ours if isinstance(blocks(each.name)[0], Bottleneck))


def norm_follows_every_convolution() -> bool:
    rows = traced("resnet50").rows
    return all(after.kind == "BatchNorm2d" for row, after in pairwise(rows) if row.kind == "Conv2d")


def basic_over_bottleneck() -> float:
    """Weights of two 3x3 layers, relative to those of a bottleneck of the same 256 channels."""
    return weights(block(BasicBlock)) / weights(block(Bottleneck))


CLAIMS = (
    Claim(42, "Layers of ResNet-34", "34", lambda: depth("resnet34")),
    Claim(
        42,
        "Shortcuts are identities except where the size increases",
        True,
        shortcuts_are_identities_unless_sizes_grow,
        lambda: (
            f"{sum(not isinstance(each.shortcut, nn.Identity) for each in blocks('resnet34'))} "
            f"of the {len(blocks('resnet34'))} shortcuts in ResNet-34 are not."
        ),
    ),
    Claim(
        43,
        "Output sizes in the basic block",
        ("28x28x256", "28x28x256"),
        partial(sizes, BasicBlock),
    ),
    Claim(
        43,
        "Output sizes in the bottleneck",
        ("28x28x64", "28x28x64", "28x28x256"),
        partial(sizes, Bottleneck),
    ),
    Claim(
        43,
        "Parameters of two layers of 3x3 conv, 256: 2x(256x3x3x256)",
        "1,179,648",
        lambda: weights(block(BasicBlock)),
        "Without batch norm, as on the slide.",
    ),
    Claim(
        43,
        "Parameters of 1x1 conv, 64, 3x3 conv, 64, and 1x1 conv, 256: "
        "256x1x1x64+64x3x3x64+64x1x1x256",
        "69,632",
        lambda: weights(block(Bottleneck)),
        "Without batch norm, as on the slide.",
    ),
    Claim(
        43,
        "Bottlenecks are in ResNet-50, -101, and -152",
        "ResNet-50, ResNet-101, ResNet-152",
        with_bottlenecks,
    ),
    Claim(
        43,
        "Deeper networks without bottlenecks gain accuracy too",
        True,
        lambda: top1_error("resnet34") < top1_error("resnet18"),
        lambda: (
            f"The top-1 error of ResNet-34 is {top1_error('resnet34')}%, that of ResNet-18 "
            f"{top1_error('resnet18')}% (He et al., 2016, 10 crops)."
        ),
    ),
    Claim(
        43,
        "Blocks without a bottleneck are not as economical",
        True,
        lambda: basic_over_bottleneck() > 1,
        lambda: (
            f"They have {basic_over_bottleneck():.0f} times as many weights for the same channels."
        ),
    ),
    Claim(45, "Batch norm after every convolution", True, norm_follows_every_convolution),
    Claim(45, "Initialization", "Kaiming", lambda: PAPER.initialization, PAPER.source),
    Claim(45, "Momentum of SGD", "0.9", lambda: PAPER.momentum, PAPER.source),
    Claim(45, "Learning rate", "0.1", lambda: PAPER.learning_rate, PAPER.source),
    Claim(
        45,
        "The learning rate is divided by 10 when the error plateaus",
        "10",
        lambda: PAPER.divided_by,
        PAPER.source,
    ),
    Claim(45, "Mini-batch size", "256", lambda: PAPER.batch_size, PAPER.source),
    Claim(
        45,
        "Weight decay",
        "1e-5",
        lambda: PAPER.weight_decay,
        f"{PAPER.source}: the paper's value is ten times as large; the slide's is probably a typo.",
    ),
    Claim(
        45,
        "No dropout",
        True,
        lambda: count(traced("resnet50"), nn.Dropout) == 0 == PAPER.dropout,
        PAPER.source,
    ),
)
