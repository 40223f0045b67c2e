"""Wider, in paths, dense, or several at once: lecture slides 47 and 54 to 59."""

from functools import partial

import torch
from torch import Tensor, nn

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
from convnets.experiments.networks import (
    NORMALISED,
    SHORT,
    bare_stem,
    matched,
    of_width,
    option_a,
    stages,
    stem,
)
from convnets.models.densenet import DenseLayer, DenseNet, DenseNetConfig
from convnets.models.preact import PreactBasicBlock, PreactResNet
from convnets.models.resnet import BasicBlock, ResNet
from convnets.models.resnext import ResNeXtBlock
from convnets.training.data import Dataset
from convnets.training.evaluation import evaluate
from convnets.training.record import RunRecord

DEEP, SHALLOW = 6, 1
"""Blocks in each stage; WRN-40 and WRN-10."""


def preact(budget: Budget, width: int, blocks: int = SHALLOW) -> nn.Module:
    """A wide residual network: only the stages, not the stem, take `width`."""
    return PreactResNet(
        PreactBasicBlock,
        (blocks,) * 3,
        (budget.width, width, 2 * width, 4 * width),
        partial(bare_stem, budget),
        CLASSES,
        CHANNELS,
    )


def deep(budget: Budget) -> nn.Module:
    return preact(budget, budget.width, DEEP)


WIDTH = Experiment(
    name="width-depth",
    question="At the same number of parameters, is a wide network better than a deep one?",
    slides=(54,),
    metric="test accuracy",
    arms=(
        Arm("deep", deep),
        Arm("wide", matched(preact, deep, "parameters", range(4, 512))),
    ),
    claims=(Claim("wide", "deep"),),
    cpu=Budget(epochs=7, seeds=3, width=8, recipe=SHORT, images=4_000, stem_stride=2),
    gpu=Budget(epochs=30, seeds=5, width=16, recipe=NORMALISED, data="fashion-mnist"),
    equal=EqualCost("parameters", ("deep", "wide")),
)


def paths(cardinality: int, base_width: int, budget: Budget) -> nn.Module:
    """Two blocks a stage; the stem has the budget's width, the stages 4, 8 and 16 times that."""
    return ResNet(
        partial(ResNeXtBlock, cardinality=cardinality, base_width=base_width),
        (2, 2, 2),
        tuple(budget.width * factor for factor in (1, 4, 8, 16)),
        partial(stem, budget),
        CLASSES,
        CHANNELS,
    )


# Xie et al. (2017), table 2: so many paths of so many channels cost the same.
PATHS = {"1x64d": (1, 64), "4x24d": (4, 24), "32x4d": (32, 4)}
CARDINALITY = Experiment(
    name="cardinality",
    question="At the same cost, are many narrow paths better than one wide?",
    slides=(55,),
    metric="test accuracy",
    arms=tuple(Arm(name, partial(paths, *sizes)) for name, sizes in PATHS.items()),
    claims=(Claim("32x4d", "1x64d"), Claim("4x24d", "1x64d")),
    cpu=Budget(epochs=3, seeds=3, width=16, recipe=SHORT, images=4_000, stem_stride=2),
    gpu=Budget(epochs=30, seeds=5, width=64, recipe=NORMALISED, data="fashion-mnist"),
    equal=EqualCost("parameters", tuple(PATHS)),
)


def dense(budget: Budget, growth_rate: int) -> nn.Module:
    """Three dense blocks of six layers, without bottlenecks and compression."""
    row = DenseNetConfig(
        (6, 6, 6), growth_rate, 2 * growth_rate, 1.0, DenseLayer, partial(bare_stem, budget), 8
    )
    return DenseNet(row, num_classes=CLASSES, in_channels=CHANNELS)


DENSE = Experiment(
    name="dense",
    question="At the same number of parameters, is concatenating better than adding?",
    slides=(56, 57, 58),
    metric="test accuracy",
    arms=(
        Arm("ResNet-20", stages(option_a)),
        Arm("DenseNet-22", matched(dense, stages(option_a), "parameters", range(2, 128))),
    ),
    claims=(Claim("DenseNet-22", "ResNet-20"),),
    cpu=Budget(epochs=5, seeds=3, width=12, recipe=SHORT, images=4_000, stem_stride=2),
    gpu=Budget(epochs=30, seeds=5, width=16, recipe=NORMALISED, data="fashion-mnist"),
    equal=EqualCost("parameters", ("ResNet-20", "DenseNet-22"), 0.1),
)

MEMBERS = 3


class Ensemble(nn.Module):
    """The mean of its members' probabilities, as logarithms: (N, C, H, W) -> (N, classes)."""

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        votes = torch.stack([member(x).softmax(dim=1) for member in self.members])
        return votes.mean(dim=0).log()


small = stages(BasicBlock, 1)


def ensemble(budget: Budget) -> nn.Module:
    return Ensemble([small(budget) for _ in range(MEMBERS)])


def train_members(build: Build, data: Dataset, budget: Budget, seed: int) -> RunRecord:
    """Train each member with a seed of its own; the loss is the mean of theirs."""
    seeds = [seed + 1_000 * number for number in range(MEMBERS)]
    members = [train_once(small, data, budget, own) for own in seeds]
    together = members[0]
    together.net = Ensemble([member.net for member in members])
    together.test_accuracy = evaluate(together.net, data)
    losses = zip(*(member.step_losses for member in members), strict=True)
    together.step_losses = [sum(values) / MEMBERS for values in losses]
    return together


ENSEMBLE = Experiment(
    name="ensemble",
    question="How much do the mean votes of three networks gain, and would one larger gain it?",
    slides=(47,),
    metric="test accuracy",
    arms=(
        Arm("one", small),
        Arm("three", ensemble, train_members),
        Arm(
            "one as large as three",
            matched(
                lambda budget, width: of_width(BasicBlock, budget, width, 1),
                ensemble,
                "macs",
                range(4, 256),
            ),
        ),
    ),
    claims=(Claim("three", "one"), Claim("three", "one as large as three")),
    cpu=Budget(epochs=6, seeds=3, width=12, recipe=SHORT, images=4_000, stem_stride=2),
    gpu=Budget(epochs=30, seeds=5, width=16, recipe=NORMALISED, data="fashion-mnist"),
    equal=EqualCost("macs", ("three", "one as large as three"), 0.1),
)

EXPERIMENTS = (WIDTH, CARDINALITY, DENSE, ENSEMBLE)
