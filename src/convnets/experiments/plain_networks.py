"""Momentum, activations and filter sizes: lecture slides 8 to 18."""

from collections import OrderedDict
from dataclasses import replace
from functools import partial

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
    train_once,
)
from convnets.experiments.networks import (
    NORMALISED,
    NOT_NORMALISED,
    SHORT,
    SHORT_NOT_NORMALISED,
    matched,
    of_width,
    stages,
)
from convnets.layers import ACTIVATIONS, conv_norm_act
from convnets.models.chain import Chain
from convnets.models.lenet import LeNet5
from convnets.training.data import Dataset
from convnets.training.recipes import Recipe
from convnets.training.record import RunRecord

# Krizhevsky et al. (2012), section 5, with one learning rate for all steps.
WITH_MOMENTUM = Recipe(
    epochs=1, batch_size=128, learning_rate=0.05, weight_decay=5e-4, optimizer="sgd"
)


def lenet(budget: Budget) -> nn.Module:
    """LeNet-5 after zero padding from 28x28 to 32x32 pixels: (N, 1, 28, 28) -> (N, 10).

    Its widths are the paper's, whatever the budget says.
    """
    return nn.Sequential(OrderedDict(pad=nn.ZeroPad2d(2), lenet=LeNet5(NUM_CLASSES, IN_CHANNELS)))


def train_without_momentum(build: Build, data: Dataset, budget: Budget, seed: int) -> RunRecord:
    """Train with plain stochastic gradient descent."""
    recipe = replace(budget.recipe, momentum=0.0)
    return train_once(build, data, replace(budget, recipe=recipe), seed)


def train_with_larger_steps(build: Build, data: Dataset, budget: Budget, seed: int) -> RunRecord:
    """Train without momentum, but with the learning rate divided by 1 - momentum.

    Along a constant gradient, the steps are then as long as those with momentum.
    """
    recipe = budget.recipe
    assert recipe.learning_rate is not None  # this experiment's recipes have their own
    recipe = replace(recipe, learning_rate=recipe.learning_rate / (1 - recipe.momentum))
    return train_without_momentum(build, data, replace(budget, recipe=recipe), seed)


MOMENTUM = Experiment(
    name="momentum",
    question="Is momentum more than a learning rate ten times as large?",
    slides=(8,),
    metric="test accuracy",
    arms=(
        Arm("momentum 0.9", lenet),
        Arm("no momentum", lenet, train_without_momentum),
        Arm("no momentum, ten times the rate", lenet, train_with_larger_steps),
    ),
    hypotheses=(
        Hypothesis("momentum 0.9", "no momentum"),
        Hypothesis("momentum 0.9", "no momentum, ten times the rate"),
    ),
    cpu=Budget(epochs=5, seeds=3, width=6, recipe=WITH_MOMENTUM, images=10_000),
    gpu=Budget(epochs=20, seeds=5, width=6, recipe=WITH_MOMENTUM, data="fashion-mnist"),
    equal=EqualCost(
        "macs", ("momentum 0.9", "no momentum", "no momentum, ten times the rate"), tolerance=0
    ),
)


def chain(activation: str, budget: Budget) -> nn.Module:
    """Ten 3x3 convolutions without batch norm: (N, 1, 28, 28) -> (N, 10)."""
    return Chain(activation, 10, budget.width, num_classes=NUM_CLASSES, in_channels=IN_CHANNELS)


ACTIVATION = Experiment(
    name="activations",
    question="How well does a network of ten layers without batch norm learn with each activation?",
    slides=(9, 10, 11, 12),
    metric="test accuracy",
    arms=tuple(Arm(name, partial(chain, name)) for name in ACTIVATIONS),
    hypotheses=(
        Hypothesis("ReLU", "sigmoid"),
        Hypothesis("ReLU", "tanh"),
        Hypothesis("leaky ReLU", "ReLU"),
        Hypothesis("PReLU", "ReLU"),
        Hypothesis("ELU", "ReLU"),
    ),
    cpu=Budget(epochs=2, seeds=3, width=16, recipe=SHORT_NOT_NORMALISED, images=8_000),
    gpu=Budget(epochs=20, seeds=5, width=32, recipe=NOT_NORMALISED, data="fashion-mnist"),
    equal=EqualCost("macs", tuple(ACTIVATIONS), tolerance=0),
)


def one_7x7(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """A 7x7 convolution with batch norm and ReLU.

    (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride).
    """
    return conv_norm_act(in_channels, out_channels, 7, stride)


def three_3x3(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Three 3x3 convolutions, each with batch norm and ReLU: a 7x7 receptive field at stride 1.

    (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride).
    """
    return nn.Sequential(
        conv_norm_act(in_channels, out_channels, 3, stride),
        conv_norm_act(out_channels, out_channels, 3),
        conv_norm_act(out_channels, out_channels, 3),
    )


FILTERS = Experiment(
    name="filters",
    question="Are three 3x3 layers better than one 7x7 layer, which sees as much?",
    slides=(16, 17, 67),
    metric="test accuracy",
    arms=(
        Arm("7x7", stages(one_7x7, 2)),
        Arm("3x3, same widths", stages(three_3x3, 2)),
        Arm(
            "3x3, same parameters",
            matched(
                lambda budget, width: of_width(three_3x3, budget, width, 2),
                stages(one_7x7, 2),
                "parameters",
                range(4, 256),
            ),
        ),
    ),
    hypotheses=(Hypothesis("3x3, same widths", "7x7"), Hypothesis("3x3, same parameters", "7x7")),
    cpu=Budget(epochs=5, seeds=3, width=8, recipe=SHORT, images=5_000, stem_stride=2),
    gpu=Budget(epochs=20, seeds=5, width=32, recipe=NORMALISED, data="fashion-mnist"),
    equal=EqualCost("parameters", ("7x7", "3x3, same parameters"), 0.15),
)

EXPERIMENTS = (MOMENTUM, ACTIVATION, FILTERS)
