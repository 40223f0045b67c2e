"""Inception modules, 1x1 convolutions and gates: lecture slides 26 to 31, 49 and 50."""

from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from convnets.experiments.core import (
    IN_CHANNELS,
    NUM_CLASSES,
    Arm,
    Budget,
    Build,
    EqualCost,
    Experiment,
    Hypothesis,
)
from convnets.experiments.networks import (
    NORMALISED,
    NOT_NORMALISED,
    SHORT,
    SHORT_NOT_NORMALISED,
    matched,
    stages,
)
from convnets.layers import ImageClassifier, conv_norm_act, pooled_head
from convnets.models.googlenet import (
    TABLE_1,
    InceptionModule,
    InceptionWidths,
    NaiveInception,
    conv_relu,
    init_googlenet_,
    max_pool,
)
from convnets.models.resnet import BasicBlock
from convnets.models.senet import gated

Module = Callable[[int], tuple[nn.Module, int]]
"""Makes an Inception module from in_channels; returns it and its number of output channels."""


def pooled(features: OrderedDict[str, nn.Module], channels: int) -> ImageClassifier:
    """The features, a global average pool and one linear layer: (N, 1, 28, 28) -> (N, 10).

    Args:
        features: (N, 1, 28, 28) -> (N, channels, H, W).
        channels: Channels of the last feature maps.
    """
    return ImageClassifier(
        nn.Sequential(features),
        pooled_head(channels, NUM_CLASSES),
        num_classes=NUM_CLASSES,
        in_channels=IN_CHANNELS,
    )


def inception_net(module: Module, budget: Budget) -> nn.Module:
    """A convolution, two modules, a pool, two modules and a head: (N, 1, 28, 28) -> (N, 10)."""
    features: OrderedDict[str, nn.Module] = OrderedDict(
        conv=conv_relu(IN_CHANNELS, budget.width, 3, budget.stem_stride)
    )
    channels = budget.width
    for number in range(1, 5):
        features[f"inception{number}"], channels = module(channels)
        if number == 2:
            features["pool"] = max_pool()
    net = pooled(features, channels)
    init_googlenet_(net)
    return net


def naive(budget: Budget) -> nn.Module:
    """A network of modules without reductions, in the proportions of slide 28."""
    sizes = (budget.width, 3 * budget.width // 2, 3 * budget.width // 4)

    def module(in_channels: int) -> tuple[nn.Module, int]:
        return NaiveInception(in_channels, *sizes), sum(sizes) + in_channels

    return inception_net(module, budget)


def reduced(budget: Budget, percent: int) -> nn.Module:
    """A network of modules with reductions, `percent` as wide as GoogLeNet's module 3a."""
    widths = (max(1, round(width * percent / 100)) for width in vars(TABLE_1["3a"]).values())
    row = InceptionWidths(*widths)

    def module(in_channels: int) -> tuple[nn.Module, int]:
        return InceptionModule(in_channels, row), row.out_channels

    return inception_net(module, budget)


INCEPTION = Experiment(
    name="inception",
    question="Do 1x1 reductions make an Inception module better at the same cost?",
    slides=(26, 27, 28, 31),
    metric="test accuracy",
    arms=(
        Arm("naive", naive),
        Arm("reduced, same MACs", matched(reduced, naive, "macs", range(5, 400))),
    ),
    hypotheses=(Hypothesis("reduced, same MACs", "naive"),),
    cpu=Budget(
        epochs=6, seeds=3, width=8, recipe=SHORT_NOT_NORMALISED, images=4_000, stem_stride=2
    ),
    gpu=Budget(epochs=20, seeds=5, width=32, recipe=NOT_NORMALISED, data="fashion-mnist"),
    equal=EqualCost("macs", ("naive", "reduced, same MACs")),
)


def row_of(kernels: tuple[int, ...], width: int) -> nn.Module:
    """Convolutions of stride 1, each with batch norm and ReLU, and a head.

    (N, 1, 28, 28) -> (N, 10).
    """
    features: OrderedDict[str, nn.Module] = OrderedDict()
    for number, kernel in enumerate(kernels, start=1):
        features[f"conv{number}"] = conv_norm_act(
            IN_CHANNELS if number == 1 else width, width, kernel
        )
    return pooled(features, width)


def three(*kernels: int) -> Build:
    """Three convolutions of the budget's width."""
    return lambda budget: row_of(kernels, budget.width)


ONE_BY_ONE = Experiment(
    name="one-by-one",
    question="How good is a network that sees a bag of pixels, and how much do neighbours add?",
    slides=(29, 30),
    metric="test accuracy",
    arms=(
        Arm("1x1 everywhere", three(1, 1, 1)),
        Arm("one 3x3, then 1x1", three(3, 1, 1)),
        Arm("3x3 everywhere", three(3, 3, 3)),
        Arm(
            "1x1 everywhere, same MACs",
            matched(
                lambda budget, width: row_of((1, 1, 1), width),
                three(3, 3, 3),
                "macs",
                range(4, 512),
            ),
        ),
    ),
    hypotheses=(
        Hypothesis("one 3x3, then 1x1", "1x1 everywhere"),
        Hypothesis("3x3 everywhere", "one 3x3, then 1x1"),
        Hypothesis("3x3 everywhere", "1x1 everywhere, same MACs"),
    ),
    cpu=Budget(epochs=8, seeds=3, width=16, recipe=SHORT, images=5_000),
    gpu=Budget(epochs=20, seeds=5, width=32, recipe=NORMALISED, data="fashion-mnist"),
    equal=EqualCost("macs", ("3x3 everywhere", "1x1 everywhere, same MACs")),
)

SQUEEZE_EXCITE = Experiment(
    name="squeeze-excite",
    question="Does a residual network become better if gates weight its channels?",
    slides=(49, 50),
    metric="test accuracy",
    arms=(
        Arm("ResNet-20", stages(BasicBlock)),
        Arm("SE-ResNet-20", stages(gated(BasicBlock))),
    ),
    hypotheses=(Hypothesis("SE-ResNet-20", "ResNet-20"),),
    cpu=Budget(epochs=5, seeds=3, width=16, recipe=SHORT, images=5_000, stem_stride=2),
    gpu=Budget(epochs=30, seeds=5, width=32, recipe=NORMALISED, data="fashion-mnist"),
    equal=EqualCost("macs", ("ResNet-20", "SE-ResNet-20"), 0.01),
)

EXPERIMENTS = (INCEPTION, ONE_BY_ONE, SQUEEZE_EXCITE)
