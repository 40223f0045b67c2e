"""The learning rate of the default recipe, tried for the lightest networks of every family.

`python -m benchmarks.recipes` takes about 25 minutes of one core and writes `results/recipes.md`,
from which `convnets.training.learning_rates` takes its values; the table grows by a network at a
time. Accuracies are those of training images that no run trains on: the test images are left
alone.
"""

import contextlib
import io
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import torch

import convnets
from benchmarks import measure
from convnets.registry import card
from convnets.training import RECIPES, Dataset, fit, load
from convnets.training.learning_rates import is_normalised

RATES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
FIRST = {False: (0.01, 0.02, 0.05), True: (0.1, 0.2)}
"""Rates that are tried first, without and with normalisation layers."""
STEPS = {
    **{"lenet5": 210, "resnet20": 70, "plain20": 70, "shufflenet_v2_x0_5": 40, "mobilenet_v2": 25},
    **{"densenet40_12": 15, "wide_resnet16_4": 20, "alexnet": 30, "efficientnet_b0": 15},
    **{"zfnet_paper": 20, "googlenet_bn": 12, "se_resnet18": 12, "googlenet": 12, "vgg11": 10},
    **{"resnext50_32x4d": 8, "inception_v4": 6},
}
"""Steps of a run of each network, by its cost."""
BATCH = RECIPES["modern"].batch_size
EPOCH = 70
"""Steps in an epoch, at most; the subset has no more images."""
CHANCE = 0.15
"""Accuracy up to which a network may have learned nothing, so that no rate is the best."""
HELD_OUT = 500
"""Images by which the rates are compared."""
RESULTS = Path(__file__).with_name("results") / "recipes.md"


@dataclass(frozen=True)
class Trials:
    """The accuracies of one network, between 0 and 1: for each rate, one for each seed."""

    name: str
    accuracies: dict[float, list[float]]

    def mean(self, rate: float) -> float:
        """Mean over the seeds."""
        return fmean(self.accuracies[rate])

    @property
    def best(self) -> float:
        """The rate with the best mean, among those that were tried with most seeds."""
        most = max(map(len, self.accuracies.values()))
        rates = [rate for rate, values in self.accuracies.items() if len(values) == most]
        return max(rates, key=self.mean)


def split(images: int) -> Dataset:
    """The first images of the training split, and the last as test images."""
    full = load("fashion-mnist-small")
    train = full.train.subset(torch.arange(round(images / 0.9)))  # `fit` holds out a tenth
    held_out = torch.arange(len(full.train) - HELD_OUT, len(full.train))
    return replace(full, train=train, test=full.train.subset(held_out))


def accuracy(name: str, rate: float, seed: int) -> float:
    """Accuracy between 0 and 1 after a run at this rate; 0 if its loss is not finite."""
    epochs = -(-STEPS[name] // EPOCH)
    recipe = replace(RECIPES["modern"], epochs=epochs, learning_rate=rate)
    data = split(STEPS[name] // epochs * BATCH)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the note about strides, in every run
            record = fit(name, data, recipe, seed=seed, device="cpu", progress=False)
    except FloatingPointError:
        return 0.0
    return record.test_accuracy


def try_rates(name: str) -> Trials:
    """Rates with one seed, until both beside the best are tried; the best two with another one."""
    with torch.device("meta"):
        first = FIRST[is_normalised(convnets.create_model(name, 10, 1, small_input=True))]
    trials = Trials(name, {rate: [accuracy(name, rate, 0)] for rate in first})
    while (beside := neighbours(trials)) - trials.accuracies.keys():
        rate = min(beside - trials.accuracies.keys())
        trials.accuracies[rate] = [accuracy(name, rate, 0)]
    for rate in sorted(beside, key=trials.mean)[-2:]:
        trials.accuracies[rate].append(accuracy(name, rate, 1))
    return trials


def neighbours(trials: Trials) -> set[float]:
    """The best rate and those beside it."""
    best = RATES.index(trials.best)
    return set(RATES[max(0, best - 1) : best + 2])


def row(trials: Trials) -> str:
    """A line of the table."""
    cells = []
    for rate in RATES:
        values = trials.accuracies.get(rate, [])
        cells.append(" ".join(f"{100 * value:.0f}" for value in values))
    cells = [card(trials.name).family, trials.name, str(STEPS[trials.name]), *cells]
    best = f"{trials.best:g}" if trials.mean(trials.best) > CHANCE else "none"
    return "| " + " | ".join([*cells, best]) + " |"


def left_over(rows: list[str]) -> str:
    """A sentence about the families that have no best rate."""
    found = {row.split(" | ")[0].strip("| ") for row in rows if not row.endswith(" none |")}
    families = dict.fromkeys(card(name).family for name in convnets.list_models())
    missing = [family for family in families if family not in found]
    return f"Not measured, or not long enough to learn: {', '.join(missing) or 'no family'}."


def main() -> None:
    """Try all networks, and write `results/recipes.md` after each."""
    text = [
        "# The learning rate of the modern recipe\n",
        f"{measure.machine()}.\n",
        f"Accuracy in percent on {HELD_OUT} held-out training images of the course's Fashion-MNIST "
        f"after the steps of {BATCH} images that are given, with one-cycle schedule: seed 0, and "
        "seed 1 for the best rate and the better one beside it. 0 means that the loss was not "
        'finite; "none", that all accuracies may be chance.\n',
        "| family | network | steps | " + " | ".join(f"{rate:g}" for rate in RATES) + " | best |",
        "| --- | --- | ---: | " + "---: | " * (len(RATES) + 1),
    ]
    rows = len(text)
    start = time.process_time()
    with measure.threads(1):
        for name in STEPS:
            text.append(row(try_rates(name)))
            minutes = (time.process_time() - start) / 60
            end = f"\n{left_over(text[rows:])} The runs took {minutes:.0f} minutes of CPU time."
            RESULTS.write_text("\n".join([*text, end]) + "\n", encoding="utf-8")
            print(text[-1], flush=True)


if __name__ == "__main__":
    main()
