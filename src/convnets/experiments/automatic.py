"""Search and scaling: lecture slides 64 and 65."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import nn

from convnets.experiments.core import (
    CHANNELS,
    CLASSES,
    Arm,
    Budget,
    Build,
    Claim,
    EqualCost,
    Experiment,
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

BASE_SIDE = 0.5
"""Of the image, so that the base sees 14 pixels and a network of twice its resolution all 28."""
BASE_DEPTH = 2


def scaled(budget: Budget, width: int, scaling: Scaling) -> nn.Module:
    """Three stages of residual blocks on a smaller image; `width` takes the place of w."""

    def stem(in_channels: int, out_channels: int) -> nn.Module:
        layers = OrderedDict(
            resize=Resize(BASE_SIDE * scaling.resolution),
            conv=conv_norm_act(in_channels, out_channels, 3),
        )
        return nn.Sequential(layers)

    depth = round(BASE_DEPTH * scaling.depth)
    widths = (width, width, 2 * width, 4 * width)
    return ResNet(BasicBlock, (depth,) * 3, widths, stem, CLASSES, CHANNELS)


def base(budget: Budget, scaling: Scaling = Scaling()) -> nn.Module:  # noqa: B008
    return scaled(budget, round(budget.width * scaling.width), scaling)


finer = partial(base, scaling=Scaling(resolution=2))


def as_costly_as_finer(scaling: Scaling) -> Build:
    """With the width at which it costs four times the base: small networks round coarsely."""
    return matched(
        lambda budget, width: scaled(budget, width, scaling), finer, "macs", range(6, 64)
    )


def deeper(budget: Budget, depth: int) -> nn.Module:
    return base(budget, Scaling(depth=depth / BASE_DEPTH))


SCALING = Experiment(
    name="scaling",
    question="At four times the cost, is a network that grows in all respects better than one "
    "that grows in one?",
    slides=(65,),
    metric="test accuracy",
    arms=(
        Arm("base", base),
        Arm("deeper", matched(deeper, finer, "macs", range(2, 16))),
        Arm("wider", as_costly_as_finer(Scaling())),
        Arm("finer", finer),
        Arm("compound", as_costly_as_finer(compound_scaling(2))),
    ),
    claims=(
        Claim("compound", "deeper"),
        Claim("compound", "wider"),
        Claim("compound", "finer"),
        Claim("compound", "base"),
    ),
    cpu=Budget(epochs=3, seeds=3, width=8, recipe=SHORT, images=4_000),
    gpu=Budget(epochs=30, seeds=5, width=16, recipe=NORMALISED, data="fashion-mnist"),
    equal=EqualCost("macs", ("deeper", "wider", "finer", "compound"), 0.1),
)

SPACE = SearchSpace()
Search = Callable[..., list[Trial]]


def largest(budget: Budget) -> nn.Module:
    """A child that no other of the space exceeds: what a search may have to train."""
    decisions = [options.index(max(options)) for options in SPACE.options]
    decisions[2::3] = [SPACE.strides.index(1)] * SPACE.depth
    return SPACE.architecture(decisions).build(CLASSES, CHANNELS)


def train_winner(
    search: Search, build: Build, data: Dataset, budget: Budget, seed: int
) -> RunRecord:
    """Let `search` train its children for one epoch each; train the best one as long as any arm."""
    reward = train_and_validate(data, budget.recipe, epochs=1)
    trials = search(SPACE, reward, budget.children, seed=seed)
    best: Architecture = max(trials, key=lambda trial: trial.reward).architecture
    return train_once(lambda budget: best.build(CLASSES, CHANNELS), data, budget, seed)


SEARCH = Experiment(
    name="search",
    question="Does a controller that learns find a better network than chance, at the same number "
    "of networks tried?",
    slides=(64,),
    metric="test accuracy",
    arms=(
        Arm("REINFORCE", largest, partial(train_winner, reinforce)),
        Arm("random", largest, partial(train_winner, random_search)),
    ),
    claims=(Claim("REINFORCE", "random"),),
    cpu=Budget(epochs=4, seeds=3, width=8, recipe=SHORT, images=2_000, children=12),
    gpu=Budget(epochs=20, seeds=5, width=8, recipe=NORMALISED, data="fashion-mnist", children=200),
    equal=EqualCost("macs", ("REINFORCE", "random"), tolerance=0),
)

EXPERIMENTS = (SCALING, SEARCH)
