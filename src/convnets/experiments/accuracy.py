"""Ensembles, wide networks, parallel paths, dense connections: lecture slides 47 and 54 to 59."""

from functools import partial

import torch
from torch import Tensor, nn

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
"""Blocks in each stage, as in WRN-40 and WRN-10."""


def preact(budget: Budget, width: int, blocks: int = SHALLOW) -> nn.Module:
    """A wide residual network: (N, 1, 28, 28) -> (N, 10).

    The stages have 1, 2 and 4 times `width` channels, the stem has the budget's width.
    """
    return PreactResNet(
        PreactBasicBlock,
        (blocks,) * 3,
        (budget.width, width, 2 * width, 4 * width),
        partial(bare_stem, budget),
        NUM_CLASSES,
        IN_CHANNELS,
    )


def deep(budget: Budget) -> nn.Module:
    """A deep, narrow network to which the wide one is compared."""
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
    hypotheses=(Hypothesis("wide", "deep"),),
    cpu=Budget(epochs=7, seeds=3, width=8, recipe=SHORT, images=4_000, stem_stride=2),
    gpu=Budget(epochs=30, seeds=5, width=16, recipe=NORMALISED, data="fashion-mnist"),
    equal=EqualCost("parameters", ("deep", "wide")),
)


def paths(cardinality: int, base_width: int, budget: Budget) -> nn.Module:
    """A ResNeXt of three stages with two blocks each: (N, 1, 28, 28) -> (N, 10).

    The stem has the budget's width, the stages 4, 8 and 16 times that.
    """
    return ResNet(
        partial(ResNeXtBlock, cardinality=cardinality, base_width=base_width),
        (2, 2, 2),
        tuple(budget.width * factor for factor in (1, 4, 8, 16)),
        partial(stem, budget),
        NUM_CLASSES,
        IN_CHANNELS,
    )


# Cardinality and width of each path; Xie et al. (2017), table 2, where these cost the same.
PATHS = {"1x64d": (1, 64), "4x24d": (4, 24), "32x4d": (32, 4)}
CARDINALITY = Experiment(
    name="cardinality",
    question="At the same cost, are many narrow paths better than one wide path?",
    slides=(55,),
    metric="test accuracy",
    arms=tuple(Arm(name, partial(paths, *sizes)) for name, sizes in PATHS.items()),
    hypotheses=(Hypothesis("32x4d", "1x64d"), Hypothesis("4x24d", "1x64d")),
    cpu=Budget(epochs=3, seeds=3, width=16, recipe=SHORT, images=4_000, stem_stride=2),
    gpu=Budget(epochs=30, seeds=5, width=64, recipe=NORMALISED, data="fashion-mnist"),
    equal=EqualCost("parameters", tuple(PATHS)),
)


def dense(budget: Budget, growth_rate: int) -> nn.Module:
    """Three dense blocks of six layers, without bottlenecks or compression.

    (N, 1, 28, 28) -> (N, 10).
    """
    row = DenseNetConfig(
        (6, 6, 6), growth_rate, 2 * growth_rate, 1.0, DenseLayer, partial(bare_stem, budget), 8
    )
    return DenseNet(row, num_classes=NUM_CLASSES, in_channels=IN_CHANNELS)


DENSE = Experiment(
    name="dense",
    question="At the same number of parameters, is concatenating better than adding?",
    slides=(56, 57, 58),
    metric="test accuracy",
    arms=(
        Arm("ResNet-20", stages(option_a)),
        Arm("DenseNet-22", matched(dense, stages(option_a), "parameters", range(2, 128))),
    ),
    hypotheses=(Hypothesis("DenseNet-22", "ResNet-20"),),
    cpu=Budget(epochs=5, seeds=3, width=12, recipe=SHORT, images=4_000, stem_stride=2),
    gpu=Budget(epochs=30, seeds=5, width=16, recipe=NORMALISED, data="fashion-mnist"),
    equal=EqualCost("parameters", ("ResNet-20", "DenseNet-22"), 0.1),
)

MEMBERS = 3


class Ensemble(nn.Module):
    """Averages the probabilities of its members: (N, C, H, W) -> (N, num_classes), logarithms.

    Args:
        members: Networks that return logits, (N, C, H, W) -> (N, num_classes).
    """

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Logarithms of the mean probabilities: (N, C, H, W) -> (N, num_classes)."""
        probabilities = torch.stack([member(x).softmax(dim=1) for member in self.members])
        return probabilities.mean(dim=0).log()  # (members, N, num_classes) -> (N, num_classes)


small = stages(BasicBlock, 1)


def ensemble(budget: Budget) -> nn.Module:
    """Three small networks whose probabilities are averaged."""
    return Ensemble([small(budget) for _ in range(MEMBERS)])


def train_members(build: Build, data: Dataset, budget: Budget, seed: int) -> RunRecord:
    """Train each member with a different seed. The losses are the members' means."""
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
    question="How much is gained by averaging three networks, and would one larger network do?",
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
    hypotheses=(Hypothesis("three", "one"), Hypothesis("three", "one as large as three")),
    cpu=Budget(epochs=6, seeds=3, width=12, recipe=SHORT, images=4_000, stem_stride=2),
    gpu=Budget(epochs=30, seeds=5, width=16, recipe=NORMALISED, data="fashion-mnist"),
    equal=EqualCost("macs", ("three", "one as large as three"), 0.1),
)

EXPERIMENTS = (WIDTH, CARDINALITY, DENSE, ENSEMBLE)
