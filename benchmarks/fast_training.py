"""Fashion-MNIST against the clock: `fit`, a bare loop, and a recipe with the ideas of airbench.

`python -m benchmarks.fast_training` trains the same network each way, with three seeds, for about
one, three and ten minutes of one core, and adds each run to `results/fast_training.json` as it
ends. Runs that the file holds are not repeated, so it can be stopped at any time.
`benchmarks.training` shows the table.

All settings were chosen with `--validate`, which trains on 55,000 of the training images, prints
the accuracy on the other 5,000, and leaves the test images alone.

airbench is K. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (2024), and
github.com/KellerJordan/cifar10-airbench.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Annotated

import torch
import typer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad, unfold
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR

from benchmarks import measure
from convnets.models import for_training
from convnets.training import RECIPES, Dataset, evaluate, fit, load
from convnets.training.augmentation import random_flip
from convnets.training.recipes import one_cycle

AIMS = {60: 0.925, 180: 0.937, 600: 0.945}
"""Seconds of one core -> the accuracy on the test images that is aimed at."""
SEEDS = 3
HELD_OUT = 5000
"""Training images by which settings are chosen."""
RESULTS = Path(__file__).with_name("results") / "fast_training.json"
RECIPE = replace(RECIPES["modern"], batch_size=256, learning_rate=0.2, label_smoothing=0.1)
"""Of all three ways."""
LOOK_AHEAD, LOOK_AHEAD_EVERY = 0.95**5, 5
"""Share of the slow weights that is kept at the end, and steps between two looks; airbench's."""
Batches = Iterator[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Size:
    """What a way of training can afford in a given time."""

    epochs: int
    widths: tuple[int, ...]
    """Channels of the stages."""


def with_fit(size: Size, data: Dataset, seed: int) -> float:
    """`fit` with a recipe, which trains on nine tenths of the images and validates each epoch."""
    torch.manual_seed(seed)
    net = whitened_net(normalised(data, data.train.images[:HELD_OUT]), size.widths)
    record = fit(net, data, RECIPE, size.epochs, seed, device="cpu", progress=False)
    return record.test_accuracy


def with_a_bare_loop(size: Size, data: Dataset, seed: int) -> float:
    """The same network and recipe in a loop as a tutorial has it."""
    torch.manual_seed(seed)
    images, labels = normalised(data, data.train.images), data.train.labels
    net = whitened_net(images[:HELD_OUT], size.widths).to(memory_format=torch.channels_last)
    steps = size.epochs * (len(labels) // RECIPE.batch_size)
    optimizer, schedule = descent(net, steps)
    for _ in range(size.epochs):
        for some in torch.randperm(len(labels)).split(RECIPE.batch_size)[: steps // size.epochs]:
            batch = random_flip(images[some], torch.default_generator)
            with torch.autocast("cpu", torch.bfloat16):
                loss = loss_of(net(batch), labels[some])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    return evaluate(net, data, "cpu")


def descent(net: nn.Module, steps: int) -> tuple[SGD, LambdaLR]:
    """The optimizer of `RECIPE`, and its learning rate over the steps."""
    assert RECIPE.learning_rate is not None
    weights = [weight for weight in net.parameters() if weight.requires_grad]
    decay, momentum = RECIPE.weight_decay, RECIPE.momentum
    optimizer = SGD(weights, RECIPE.learning_rate, momentum, 0, decay, nesterov=True)
    return optimizer, LambdaLR(optimizer, lambda step: one_cycle(step / steps, 0))


def loss_of(scores: Tensor, labels: Tensor) -> Tensor:
    """The loss of `RECIPE` for scores (N, 10) and labels (N,)."""
    return cross_entropy(scores, labels, label_smoothing=RECIPE.label_smoothing)


def normalised(data: Dataset, images: Tensor) -> Tensor:
    """Pixels (N, 1, 28, 28) with mean 0 and deviation 1 over the training images."""
    images = images.float().div(255).sub(data.mean).div(data.std)
    return images.contiguous(memory_format=torch.channels_last)


# The recipe with the ideas of airbench


def with_the_ideas_of_airbench(size: Size, data: Dataset, seed: int) -> float:
    """Flips that alternate, look-ahead, and views of the test images, beside the whitening stem."""
    torch.manual_seed(seed)
    images, labels = normalised(data, data.train.images), data.train.labels
    net = whitened_net(images[:HELD_OUT], size.widths).to(memory_format=torch.channels_last)
    learner = for_training(net.train())
    steps = size.epochs * (len(labels) // RECIPE.batch_size)
    optimizer, schedule = descent(net, steps)
    slow = [value.clone() for value in floats(net)]
    for step, (x, y) in enumerate(alternating(images, labels, size.epochs), start=1):
        loss_of(learner(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % LOOK_AHEAD_EVERY == 0 or step == steps:
            kept = LOOK_AHEAD * (step / steps) ** 3
            torch._foreach_lerp_(slow, floats(net), 1 - kept)
            torch._foreach_copy_(floats(net), slow)
    return evaluate(TestTimeViews(net), data, "cpu")


def alternating(images: Tensor, labels: Tensor, epochs: int) -> Batches:
    """Shuffled batches; a random half of the images is mirrored in odd epochs, the rest in even."""
    flipped = torch.rand(len(images), 1, 1, 1) < 0.5
    images = torch.where(flipped, images.flip(-1), images)
    for epoch in range(epochs):
        size = RECIPE.batch_size
        for some in torch.randperm(len(labels))[: len(labels) // size * size].split(size):
            yield images[some].flip(-1) if epoch % 2 else images[some], labels[some]


def whitened_net(images: Tensor, widths: tuple[int, ...]) -> nn.Sequential:
    """Two convolutions in each stage, after a stem that makes the pixels of a patch independent.

    Args:
        images: normalised images (N, 1, 28, 28) that give the stem, which is not trained.
        widths: channels of the stages.
    """
    patches = unfold(images, 3, padding=1, stride=2).transpose(1, 2).flatten(0, 1)  # (n, 9)
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    filters = (vectors / (values + 5e-4).sqrt()).T.reshape(-1, 1, 3, 3)
    stem = nn.Conv2d(1, 2 * len(filters), 3, stride=2, padding=1, bias=False)
    stem.weight = nn.Parameter(torch.cat([filters, -filters]), requires_grad=False)
    stages: list[nn.Module] = []
    for before, after in zip((2 * len(filters), *widths[:-1]), widths, strict=True):
        for position, channels in enumerate((before, after)):
            conv = nn.Conv2d(channels, after, 3, padding=1, bias=False)
            nn.init.dirac_(conv.weight.data[:channels])
            pool = [nn.MaxPool2d(2)] if position == 0 else []
            stages += [conv, *pool, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    head = [nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 10)]
    return nn.Sequential(stem, nn.ReLU(inplace=True), *stages, *head)


def floats(net: nn.Module) -> list[Tensor]:
    """Weights that are trained, and the statistics of batch norm."""
    values = [*net.parameters(), *net.buffers()]
    return [each.data for each in values if each.is_floating_point()]


class TestTimeViews(nn.Module):
    """Mean scores (N, 10) of images (N, 1, 28, 28), of two that are shifted, and their mirrors."""

    __test__ = False  # pytest

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        padded = pad(x, (1, 1, 1, 1), mode="replicate")
        scores = []
        for share, view in ((0.5, x), (0.25, padded[..., :-2, :-2]), (0.25, padded[..., 2:, 2:])):
            scores += [share / 2 * self.net(each) for each in (view, view.flip(-1))]
        return torch.stack(scores).sum(0)


# Runs

WAYS: dict[str, Callable[[Size, Dataset, int], float]] = {
    "fit": with_fit,
    "bare loop": with_a_bare_loop,
    "ideas of airbench": with_the_ideas_of_airbench,
}
SIZES = {60: Size(12, (32, 64)), 180: Size(20, (48, 96)), 600: Size(32, (64, 128))}
"""What takes about so many seconds on a quiet machine."""


@dataclass(frozen=True)
class Run:
    """One recorded run."""

    way: str
    budget: int
    """Seconds of one core."""
    seed: int
    epochs: int
    widths: tuple[int, ...]
    accuracy: float
    """On the test images, between 0 and 1."""
    seconds: float
    """CPU time of training and test."""
    machine: str
    """With date, versions and commit."""


def measured(way: str, budget: int, seed: int, data: Dataset) -> Run:
    """Train once."""
    size = SIZES[budget]
    with measure.threads(1):
        start = time.process_time()
        accuracy = WAYS[way](size, data, seed)
        seconds = time.process_time() - start
        return Run(
            way, budget, seed, size.epochs, size.widths, accuracy, seconds, measure.machine()
        )


def recorded() -> list[Run]:
    """The runs in `results/fast_training.json` whose size is still the one to measure."""
    rows = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    runs = [Run(**row | {"widths": tuple(row["widths"])}) for row in rows]
    return [run for run in runs if Size(run.epochs, run.widths) == SIZES[run.budget]]


def lines() -> list[str]:
    """A table of the recorded runs, and the machines that they ran on."""
    runs = recorded()
    table = [
        "| seconds aimed at | accuracy aimed at | way | epochs | channels | seeds | seconds | test "
        "accuracy |",
        "| ---: | ---: | --- | ---: | --- | ---: | ---: | --- |",
    ]
    for budget, way in product(AIMS, WAYS):
        some = [run for run in runs if (run.budget, run.way) == (budget, way)]
        size = SIZES[budget]
        head = (f"{budget}", f"{AIMS[budget]:.1%}", way, f"{size.epochs}")
        channels = " ".join(map(str, size.widths))
        accuracies = [run.accuracy for run in some]
        found = (
            f"{fmean(accuracies):.2%} ({min(accuracies):.2%} to {max(accuracies):.2%})"
            if some
            else "not run yet"
        )
        seconds = f"{fmean(run.seconds for run in some):.0f}" if some else ""
        cells = (*head, channels, f"{len(some)} of {SEEDS}", seconds, found)
        table.append(f"| {' | '.join(cells)} |")
    machines = sorted({run.machine for run in runs})
    return [*table, "", *(f"Measured: {machine}." for machine in machines)]


def main(
    budgets: Annotated[
        list[int] | None, typer.Argument(help=f"of {', '.join(map(str, AIMS))}; all by default")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=SEEDS, help="runs of each way")] = SEEDS,
    validate: Annotated[
        bool, typer.Option("--validate", help="print accuracies on held-out training images")
    ] = False,
) -> None:
    """Train what is not recorded yet, or validate."""
    data = load("fashion-mnist")
    if validate:
        order = torch.arange(len(data.train))
        kept, held_out = (data.train.subset(part) for part in order.split(len(order) - HELD_OUT))
        data = replace(data, train=kept, test=held_out)
    for seed, budget, way in product(range(seeds), budgets or AIMS, WAYS):
        done = {(run.budget, run.way, run.seed) for run in recorded()}
        if validate or (budget, way, seed) not in done:
            run = measured(way, budget, seed, data)
            found = f"{run.accuracy:.2%} in {run.seconds:.0f} s"
            print(f"{budget} s, {way}, seed {seed}: {found}", flush=True)
            if not validate:
                rows = [asdict(each) for each in (*recorded(), run)]
                RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
