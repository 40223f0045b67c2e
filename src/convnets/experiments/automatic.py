"""Architecture search and compound scaling: lecture slides 64 and 65."""

from collections import OrderedDict
from collections.abc import Callable
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
from convnets.experiments.networks import NORMALISED, SHORT, matched
from convnets.layers import conv_norm_act
from convnets.models.compound_scaling import Scaling, compound_scaling
from convnets.models.mobilenet import Resize
from convnets.models.resnet import BasicBlock, ResNet
from convnets.search import (
    Architecture,
    SearchSpace,
    Trial,
    random_search,
    reinforce,
    train_and_validate,
)
from convnets.training.data import Dataset
from convnets.training.record import RunRecord

BASE_RESOLUTION = 0.5
"""Share of the image's side: the base network sees 14x14 pixels, a network of twice its resolution
28x28."""
BASE_DEPTH = 2
"""Blocks in each stage of the base network."""


def scaled(budget: Budget, width: int, scaling: Scaling) -> nn.Module:
    """Three stages of residual blocks on a resized image: (N, 1, 28, 28) -> (N, 10).

    Depth and resolution come from `scaling`, the channels of the stem from `width`.
    """

    def stem(in_channels: int, out_channels: int) -> nn.Module:
        layers = OrderedDict(
            resize=Resize(BASE_RESOLUTION * scaling.resolution),
            conv=conv_norm_act(in_channels, out_channels, 3),
        )
        return nn.Sequential(layers)

    depth = round(BASE_DEPTH * scaling.depth)
    widths = (width, width, 2 * width, 4 * width)
    return ResNet(BasicBlock, (depth,) * 3, widths, stem, NUM_CLASSES, IN_CHANNELS)


def base(budget: Budget, scaling: Scaling = Scaling()) -> nn.Module:  # noqa: B008
    """The network that the others scale up, with `scaling` applied to all three dimensions."""
    return scaled(budget, round(budget.width * scaling.width), scaling)


finer = partial(base, scaling=Scaling(resolution=2))


def as_costly_as_finer(scaling: Scaling) -> Build:
    """A scaled network with the width at which it costs as much as `finer`, four times the base.

    The width is searched for, because rounding changes the cost of small networks a great deal.
    """
    return matched(
        lambda budget, width: scaled(budget, width, scaling), finer, "macs", range(6, 64)
    )


def deeper(budget: Budget, depth: int) -> nn.Module:
    """The base network with `depth` blocks in each stage."""
    return base(budget, Scaling(depth=depth / BASE_DEPTH))


SCALING = Experiment(
    name="scaling",
    question="At four times the cost, is a network that is scaled in depth, width and resolution "
    "better than one that is scaled in only one of them?",
    slides=(65,),
    metric="test accuracy",
    arms=(
        Arm("base", base),
        Arm("deeper", matched(deeper, finer, "macs", range(2, 16))),
        Arm("wider", as_costly_as_finer(Scaling())),
        Arm("finer", finer),
        Arm("compound", as_costly_as_finer(compound_scaling(2))),
    ),
    hypotheses=(
        Hypothesis("compound", "deeper"),
        Hypothesis("compound", "wider"),
        Hypothesis("compound", "finer"),
        Hypothesis("compound", "base"),
    ),
    cpu=Budget(epochs=3, seeds=3, width=8, recipe=SHORT, images=4_000),
    gpu=Budget(epochs=30, seeds=5, width=16, recipe=NORMALISED, data="fashion-mnist"),
    equal=EqualCost("macs", ("deeper", "wider", "finer", "compound"), 0.1),
)

SPACE = SearchSpace()
Search = Callable[..., list[Trial]]


def largest(budget: Budget) -> nn.Module:
    """The largest network of the search space, which bounds the cost of those that are searched.

    (N, 1, 28, 28) -> (N, 10).
    """
    decisions = [options.index(max(options)) for options in SPACE.options]
    decisions[2::3] = [SPACE.strides.index(1)] * SPACE.depth
    return SPACE.architecture(decisions).build(NUM_CLASSES, IN_CHANNELS)


def train_winner(
    search: Search, build: Build, data: Dataset, budget: Budget, seed: int
) -> RunRecord:
    """Search with one epoch for each child, then train the best one for the budget's epochs."""
    reward = train_and_validate(data, budget.recipe, epochs=1)
    trials = search(SPACE, reward, budget.children, seed=seed)
    best: Architecture = max(trials, key=lambda trial: trial.reward).architecture
    return train_once(lambda budget: best.build(NUM_CLASSES, IN_CHANNELS), data, budget, seed)


SEARCH = Experiment(
    name="search",
    question="Does a controller that learns find a better network than random search does, at the "
    "same number of networks tried?",
    slides=(64,),
    metric="test accuracy",
    arms=(
        Arm("REINFORCE", largest, partial(train_winner, reinforce)),
        Arm("random", largest, partial(train_winner, random_search)),
    ),
    hypotheses=(Hypothesis("REINFORCE", "random"),),
    cpu=Budget(epochs=4, seeds=3, width=8, recipe=SHORT, images=2_000, children=12),
    gpu=Budget(epochs=20, seeds=5, width=8, recipe=NORMALISED, data="fashion-mnist", children=200),
    equal=EqualCost("macs", ("REINFORCE", "random"), tolerance=0),
)

EXPERIMENTS = (SCALING, SEARCH)
