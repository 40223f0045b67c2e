"""The parts of an experiment: a question, networks that differ in one thing, and a budget."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from convnets.seeding import fixed_seed
from convnets.training.data import Dataset, Split, load
from convnets.training.engine import fit
from convnets.training.recipes import Recipe
from convnets.training.record import RunRecord

NUM_CLASSES, IN_CHANNELS, IMAGE_SIZE = 10, 1, 28
"""All experiments use Fashion-MNIST."""

Quantity = Literal["parameters", "macs"]
Metric = Literal["test accuracy", "training loss"]


@dataclass(frozen=True)
class Budget:
    """The effort that goes into each run of an experiment."""

    epochs: int
    seeds: int
    """Runs of each arm, unless the caller asks for another number."""
    width: int
    """Channels of the stem, from which the arms derive their widths."""
    recipe: Recipe
    """How to train. Its number of epochs is not used; `epochs` is."""
    images: int | None = None
    """Number of training images, the first of the training split; a tenth of them validates.
    `None` for all."""
    data: str = "fashion-mnist-small"
    stem_stride: int = 1
    """A stride of 2 halves all feature maps, which makes each step about four times cheaper."""
    children: int = 0
    """Networks that each architecture search may train."""


Build = Callable[[Budget], nn.Module]
"""Makes a network for a budget: (N, 1, 28, 28) -> (N, 10)."""


def train_once(build: Build, data: Dataset, budget: Budget, seed: int) -> RunRecord:
    """Build a network and train it, as most arms do.

    Raises:
        FloatingPointError: The loss diverges.
    """
    return fit(
        seeded(build, budget, seed), data, budget.recipe, budget.epochs, seed, progress=False
    )


@dataclass(frozen=True)
class Arm:
    """One of the networks that an experiment compares, as in the arms of a clinical trial."""

    name: str
    build: Build
    train: Callable[[Build, Dataset, Budget, int], RunRecord] = train_once
    """Trains a network of this arm, given `build`, the data, the budget and a seed."""


@dataclass(frozen=True)
class Hypothesis:
    """A claim of the lecture or a paper: the arm `better` has better values of the metric."""

    better: str
    worse: str


@dataclass(frozen=True)
class EqualCost:
    """Arms that cost the same: the largest cost exceeds the smallest by at most `tolerance`."""

    quantity: Quantity
    arms: tuple[str, ...]
    tolerance: float = 0.05
    """As a share of the smallest cost."""


@dataclass(frozen=True)
class Cost:
    """Parameters, and multiply-accumulates (MACs) for one image."""

    parameters: int
    macs: int


@dataclass(frozen=True)
class Experiment:
    """A question from the lecture that can be answered by training networks."""

    name: str
    question: str
    slides: tuple[int, ...]
    metric: Metric
    arms: tuple[Arm, ...]
    hypotheses: tuple[Hypothesis, ...]
    cpu: Budget
    gpu: Budget
    equal: EqualCost | None = None
    """Arms that are built to cost the same, so that the comparison is fair."""

    def budget(self, name: str) -> Budget:
        """The budget called "cpu" (minutes on two cores) or "gpu" (longer training on all images).

        Raises:
            ValueError: Another name.
        """
        if name not in ("cpu", "gpu"):
            raise ValueError(f"unknown budget {name!r}; choose cpu or gpu")
        return self.cpu if name == "cpu" else self.gpu

    def costs(self, budget: Budget) -> dict[str, Cost]:
        """The cost of each arm at a budget, by the arm's name."""
        return {arm.name: cost(partial(arm.build, budget)) for arm in self.arms}


def cost(make: Callable[[], nn.Module]) -> Cost:
    """The cost of the network that `make` returns. No numbers are computed or drawn."""
    with torch.device("meta"), torch.no_grad():
        net, image = make().eval(), torch.empty(1, IN_CHANNELS, IMAGE_SIZE, IMAGE_SIZE)
        with FlopCounterMode(display=False) as counter:
            net(image)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return Cost(parameters, counter.get_total_flops() // 2)


def closest(
    make: Callable[[int], nn.Module],
    target: Callable[[], nn.Module],
    quantity: Quantity,
    sizes: range,
) -> int:
    """The size for which the cost of `make(size)` is closest to the cost of `target()`.

    Args:
        make: Returns a network whose cost grows with the size.
        target: Returns the network whose cost is to be matched.
        quantity: The cost to match, "parameters" or "macs".
        sizes: The candidates, in increasing order.

    Raises:
        ValueError: The smallest size already costs more than `target`, or the largest costs less.
    """

    def spent(size: int) -> int:
        return int(getattr(cost(partial(make, size)), quantity))

    wanted = getattr(cost(target), quantity)
    place = bisect_left(sizes, wanted, key=spent)
    if place == len(sizes) or (place == 0 and spent(sizes[0]) > wanted):
        raise ValueError(
            f"no size from {sizes[0]} to {sizes[-1]} makes {wanted:,} {quantity}; widen the range"
        )
    return min(sizes[max(0, place - 1) : place + 1], key=lambda size: abs(spent(size) - wanted))


def seeded(build: Build, budget: Budget, seed: int) -> nn.Module:
    """A network whose initial weights are drawn with `seed`.

    The global random state is left alone.
    """
    with fixed_seed(seed):
        return build(budget)


def images_of(budget: Budget) -> Dataset:
    """The training images that the budget allows, and the whole test split.

    Raises:
        ValueError: The data set has fewer training images.
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
