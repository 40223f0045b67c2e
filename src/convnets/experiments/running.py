"""Run an experiment: train every arm with every seed."""

import json
import subprocess
import time
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import fmean

from tqdm.auto import tqdm

from convnets.experiments.core import Arm, Budget, Experiment, images_of
from convnets.experiments.result import ArmRun, ExperimentResult
from convnets.training.data import Dataset
from convnets.training.device import choose, describe

POINTS = 200
"""Length of a recorded loss curve."""
CURVE_DIGITS = 6
"""Significant digits of a recorded curve. Final values are recorded as they were measured."""


def run(
    experiment: Experiment,
    budget: Budget | str | None = None,
    seeds: int | None = None,
    path: Path | str | None = None,
    progress: bool = True,
) -> ExperimentResult:
    """Train every arm with seeds 0, 1, … and measure it.

    Args:
        experiment: What to run.
        budget: "cpu", "gpu" or a budget of your own. `None` chooses "gpu" if this machine has a
            GPU, else "cpu".
        seeds: Runs of each arm; `None` for the budget's number.
        path: File for the result, written after each run. Runs that it already holds are not
            repeated, so an interrupted experiment continues where it stopped.
        progress: Show a progress bar.

    Raises:
        ValueError: Fewer than one seed, an unknown budget, or `path` holds the result of another
            experiment, of other networks or of another budget.
        FloatingPointError: The loss of an arm diverges; the message names the arm.

    Example:
        >>> from dataclasses import replace
        >>> from convnets.experiments import experiment
        >>> shuffle = experiment("shuffle")
        >>> short = replace(shuffle.cpu, epochs=1, images=500)
        >>> result = run(shuffle, short, seeds=2, progress=False)
        >>> [row.runs for row in result.summaries()]
        [2, 2]
    """
    budget = choose(cpu="cpu", gpu="gpu") if budget is None else budget
    budget = experiment.budget(budget) if isinstance(budget, str) else budget
    seeds = budget.seeds if seeds is None else seeds
    if seeds < 1:
        raise ValueError(f"an experiment needs at least one seed, got {seeds}")
    result = ExperimentResult(
        experiment.name,
        experiment.question,
        experiment.metric,
        json.loads(json.dumps(asdict(budget))),
        experiment.costs(budget),
        list(experiment.hypotheses),
    )
    if path is not None and Path(path).exists():
        result.runs = _runs_in(Path(path), result)
    done = {(run.arm, run.seed) for run in result.runs}
    todo = [(arm, seed) for seed in range(seeds) for arm in experiment.arms]
    todo = [(arm, seed) for arm, seed in todo if (arm.name, seed) not in done]
    data = images_of(budget)
    with tqdm(todo, disable=not progress, unit="run", leave=False) as bar:
        for arm, seed in bar:
            bar.set_description(f"{arm.name}, seed {seed}")
            result.runs.append(run_arm(arm, data, budget, seed))
            if path is not None:
                result.save(path)
    return result


def run_arm(arm: Arm, data: Dataset, budget: Budget, seed: int) -> ArmRun:
    """Train one arm with one seed.

    Raises:
        FloatingPointError: The loss diverges; the message names the arm.
    """
    start = time.perf_counter()
    try:
        record = arm.train(arm.build, data, budget, seed)
    except FloatingPointError as error:
        raise FloatingPointError(f"{arm.name} with seed {seed}: {error}") from None
    losses = record.step_losses
    accuracies = [epoch.validation_accuracy for epoch in record.epochs]
    return ArmRun(
        arm=arm.name,
        seed=seed,
        test_accuracy=record.test_accuracy,
        training_loss=fmean(losses[-max(1, len(losses) // 10) :]),
        seconds=time.perf_counter() - start,
        machine=f"{describe(record.device)}; {record.precision}",
        date=datetime.now(UTC).date().isoformat(),
        commit=commit_of(Path(__file__)),
        validation_accuracies=[rounded(accuracy) for accuracy in accuracies],
        losses=[rounded(loss) for loss in means(losses, POINTS)],
    )


def rounded(value: float) -> float:
    """`value` to the number of significant digits that a recorded curve has."""
    return float(f"{value:.{CURVE_DIGITS}g}")


def commit_of(file: Path) -> str | None:
    """The commit that `file` was checked out from, with "-dirty" if tracked files have changed.

    The answer for a checkout is kept for the life of the process, because the results that it
    writes may be tracked files themselves. `None` if `file` is not in a Git checkout.
    """
    try:
        _git(file.parent, "ls-files", "--error-unmatch", file.name)
        return _commit(_git(file.parent, "rev-parse", "--show-toplevel"))
    except (OSError, subprocess.CalledProcessError):
        return None


@cache
def _commit(checkout: str) -> str:
    return _git(checkout, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(folder: Path | str, *arguments: str) -> str:
    command = ["git", *arguments]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return run.stdout.strip()


def means(values: list[float], points: int) -> list[float]:
    """Average a curve over `points` stretches of equal length; shorter curves stay as they are."""
    count = min(points, len(values))
    edges = [len(values) * number // count for number in range(count + 1)]
    return [fmean(values[a:b]) for a, b in pairwise(edges)]


def _runs_in(path: Path, new: ExperimentResult) -> list[ArmRun]:
    old = ExperimentResult.load(path)
    if (old.experiment, old.budget, old.costs) != (new.experiment, new.budget, new.costs):
        raise ValueError(
            f"{path} holds {old.experiment} with another budget or other networks; choose another "
            "file, or delete this one"
        )
    return old.runs
