"""What an experiment is: a question, networks that differ in one thing, and what may be spent."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import nn

from convnets.analysis import trace
from convnets.training.data import Dataset, Split, load
from convnets.training.engine import fit
from convnets.training.recipes import Recipe
from convnets.training.record import RunRecord

CLASSES, CHANNELS, SIDE = 10, 1, 28
"""Of Fashion-MNIST, which all experiments use."""

Quantity = Literal["parameters", "macs"]
Metric = Literal["test accuracy", "training loss"]


@dataclass(frozen=True)
class Budget:
    """What each run of an experiment may cost."""

    epochs: int
    seeds: int
    """Runs of each arm, if the caller does not say."""
    width: int
    """Channels of the first stage, from which the arms take their sizes."""
    recipe: Recipe
    """Its own number of epochs does not count."""
    images: int | None = None
    """First images of the training split, a tenth of which validates; `None` for all."""
    data: str = "fashion-mnist-small"
    stem_stride: int = 1
    """2 makes the maps of the whole network smaller, and each step four times cheaper."""
    children: int = 0
    """Networks that a search may train."""


Build = Callable[[Budget], nn.Module]


def train_once(build: Build, data: Dataset, budget: Budget, seed: int) -> RunRecord:
    """Build a network and train it: what most arms do."""
    return fit(
        seeded(build, budget, seed), data, budget.recipe, budget.epochs, seed, progress=False
    )


@dataclass(frozen=True)
class Arm:
    """One of the networks that an experiment compares.

    `build` makes it for a budget: (N, 1, 28, 28) -> (N, 10). `train` makes a trained one of it.
    """

    name: str
    build: Build
    train: Callable[[Build, Dataset, Budget, int], RunRecord] = train_once


@dataclass(frozen=True)
class Claim:
    """The arm that the lecture or the paper says is better, and the one that it beats."""

    better: str
    worse: str


@dataclass(frozen=True)
class EqualCost:
    """These arms cost the same, but for a share of at most `tolerance`."""

    quantity: Quantity
    arms: tuple[str, ...]
    tolerance: float = 0.05


@dataclass(frozen=True)
class Experiment:
    """A question of the lecture that training can answer."""

    name: str
    question: str
    slides: tuple[int, ...]
    metric: Metric
    arms: tuple[Arm, ...]
    claims: tuple[Claim, ...]
    cpu: Budget
    gpu: Budget
    equal: EqualCost | None = None

    def budget(self, name: str) -> Budget:
        """The budget called "cpu" (some minutes on two cores) or "gpu" (the real thing)."""
        if name not in ("cpu", "gpu"):
            raise ValueError(f"unknown budget {name!r}; choose cpu or gpu")
        return self.cpu if name == "cpu" else self.gpu

    def costs(self, budget: Budget) -> dict[str, "Cost"]:
        """What each arm costs, by its name."""
        return {arm.name: cost(partial(arm.build, budget)) for arm in self.arms}


@dataclass(frozen=True)
class Cost:
    """Parameters, and multiply-accumulates for one image."""

    parameters: int
    macs: int


def cost(make: Callable[[], nn.Module]) -> Cost:
    """What the network that `make` makes costs."""
    with torch.random.fork_rng():
        traced = trace(make(), SIDE)
    return Cost(traced.parameters, traced.macs)


def closest(
    make: Callable[[int], nn.Module], target: nn.Module, quantity: Quantity, sizes: range
) -> int:
    """The size for which `make(size)` costs most nearly what `target` costs.

    Args:
        make: a network that costs the more, the larger the size.
        sizes: where to look, from small to large.

    Raises:
        ValueError: even the smallest costs more, or the largest less.
    """

    def spent(size: int) -> int:
        return int(getattr(cost(lambda: make(size)), quantity))

    wanted = getattr(cost(lambda: target), quantity)
    place = bisect_left(sizes, wanted, key=spent)
    if place == len(sizes) or (place == 0 and spent(sizes[0]) > wanted):
        raise ValueError(
            f"no size from {sizes[0]} to {sizes[-1]} makes {wanted:,} {quantity}; widen the range"
        )
    return min(sizes[max(0, place - 1) : place + 1], key=lambda size: abs(spent(size) - wanted))


def seeded(build: Build, budget: Budget, seed: int) -> nn.Module:
    """The network, with initial weights that `seed` decides; the caller's stream is left alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(budget)


def images_of(budget: Budget) -> Dataset:
    """The images that the budget allows; all of the test split.

    Raises:
        ValueError: the data set has fewer images.
    """
    data = load(budget.data)
    if budget.images is None:
        return data
    if not 1 <= budget.images <= len(data.train):
        raise ValueError(
            f"{budget.data} has {len(data.train):,} training images, the budget asks for "
            f"{budget.images:,}"
        )
    train = Split(data.train.images[: budget.images], data.train.labels[: budget.images])
    return replace(data, train=train)
