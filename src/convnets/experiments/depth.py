"""Depth and shortcuts: lecture slides 38 to 42."""

from functools import partial

import torch
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
    seeded,
)
from convnets.experiments.networks import (
    NORMALISED,
    NOT_NORMALISED,
    SHORT,
    SHORT_NOT_NORMALISED,
    option_a,
    stages,
)
from convnets.models.chain import Chain
from convnets.models.resnet import BasicBlock, PlainBlock
from convnets.training.data import Dataset
from convnets.training.engine import fit
from convnets.training.record import RunRecord

DEGRADATION = Experiment(
    name="degradation",
    question="Does a deeper network fit its training images worse, and do shortcuts help?",
    slides=(38, 39, 42),
    metric="training loss",
    arms=(
        Arm("plain-20", stages(PlainBlock, 3)),
        Arm("plain-56", stages(PlainBlock, 9)),
        Arm("ResNet-20", stages(option_a, 3)),
        Arm("ResNet-56", stages(option_a, 9)),
    ),
    hypotheses=(
        Hypothesis("plain-20", "plain-56"),
        Hypothesis("ResNet-56", "plain-56"),
        Hypothesis("ResNet-56", "ResNet-20"),
    ),
    cpu=Budget(epochs=6, seeds=2, width=8, recipe=NORMALISED, images=10_000, stem_stride=2),
    gpu=Budget(epochs=60, seeds=5, width=16, recipe=NORMALISED, data="fashion-mnist"),
    equal=EqualCost("macs", ("plain-56", "ResNet-56"), tolerance=0),
)

SHORTCUTS = Experiment(
    name="shortcuts",
    question="Which shortcut is best where shapes change: zero padding (A), projections (B), or "
    "projections everywhere (C)?",
    slides=(42,),
    metric="test accuracy",
    arms=(
        Arm("A", stages(option_a)),
        Arm("B", stages(BasicBlock)),
        Arm("C", stages(partial(BasicBlock, option="C"))),
    ),
    hypotheses=(Hypothesis("B", "A"), Hypothesis("C", "B")),
    cpu=Budget(epochs=6, seeds=3, width=8, recipe=SHORT, images=5_000, stem_stride=2),
    gpu=Budget(epochs=30, seeds=5, width=16, recipe=NORMALISED, data="fashion-mnist"),
    equal=EqualCost("macs", ("A", "B", "C"), 0.1),
)

SHALLOW = 8


def chain(depth: int) -> Build:
    """`depth` 3x3 convolutions with ReLU, without batch norm."""
    return lambda budget: Chain(
        "ReLU", depth, budget.width, num_classes=NUM_CLASSES, in_channels=IN_CHANNELS
    )


def deepened(shallow: Chain) -> Chain:
    """A chain of twice the depth that computes the same function: slide 39's deeper counterpart.

    The convolutions of each half of `shallow` are copied, followed by as many identities: 3x3
    kernels that are 1 at the centre for their own channel and 0 elsewhere. Their input is not
    negative, so ReLU does not change it. The outputs are bitwise equal in float32 on a CPU.

    Args:
        shallow: A chain of even depth with ReLU and without batch norm.

    Raises:
        ValueError: The depth is odd, or `shallow` has another activation or batch norm.
    """
    old = [layer for layer in shallow.features.children() if isinstance(layer, nn.Conv2d)]
    others = [layer for layer in shallow.features.children() if not isinstance(layer, nn.Conv2d)]
    if len(old) % 2 or not all(isinstance(layer, nn.ReLU) for layer in others):
        raise ValueError(
            "only a chain of even depth with ReLU and without batch norm can be deepened by "
            f"identities; got {len(old)} convolutions with {type(others[0]).__name__}"
        )
    deep = Chain(
        "ReLU",
        2 * len(old),
        old[0].out_channels,
        num_classes=shallow.num_classes,
        in_channels=shallow.in_channels,
    ).to(old[0].weight.device)
    new = [layer for layer in deep.features.children() if isinstance(layer, nn.Conv2d)]
    half = len(old) // 2
    with torch.no_grad():
        for number, layer in enumerate(new):
            part, place = divmod(number, len(old))
            if place < half:
                layer.load_state_dict(old[part * half + place].state_dict())
            else:
                nn.init.dirac_(layer.weight)
    deep.classifier.load_state_dict(shallow.classifier.state_dict())
    return deep


def train_then_deepen(build: Build, data: Dataset, budget: Budget, seed: int) -> RunRecord:
    """Train a chain of half the depth for half of the epochs, deepen it, and train the result."""
    half = budget.epochs // 2
    first = fit(
        seeded(chain(SHALLOW), budget, seed), data, budget.recipe, half, seed, progress=False
    )
    assert isinstance(first.net, Chain)
    deep = deepened(first.net)
    second = fit(deep, data, budget.recipe, budget.epochs - half, seed, progress=False)
    second.step_losses = first.step_losses + second.step_losses
    second.epochs = first.epochs + second.epochs
    return second


IDENTITY = Experiment(
    name="identity",
    question="Is a deep network that is built from a shallow one and identities better than one "
    "of the same depth that is trained from scratch?",
    slides=(39, 41),
    metric="training loss",
    arms=(
        Arm("shallow", chain(SHALLOW)),
        Arm("deep", chain(2 * SHALLOW)),
        Arm("deep, from shallow and identities", chain(2 * SHALLOW), train_then_deepen),
    ),
    hypotheses=(
        Hypothesis("shallow", "deep"),
        Hypothesis("deep, from shallow and identities", "deep"),
        Hypothesis("deep, from shallow and identities", "shallow"),
    ),
    cpu=Budget(epochs=8, seeds=3, width=16, recipe=SHORT_NOT_NORMALISED, images=5_000),
    gpu=Budget(epochs=40, seeds=5, width=32, recipe=NOT_NORMALISED, data="fashion-mnist"),
    equal=EqualCost("macs", ("deep", "deep, from shallow and identities"), tolerance=0),
)

EXPERIMENTS = (DEGRADATION, SHORTCUTS, IDENTITY)
