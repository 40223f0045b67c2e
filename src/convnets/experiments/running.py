"""Run an experiment: every arm with every seed."""

import json
import subprocess
import time
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from statistics import fmean

from tqdm.auto import tqdm

from convnets.experiments.core import Arm, Budget, Experiment, images_of
from convnets.experiments.result import Result, Run
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
) -> Result:
    """Train every arm with seeds 0, 1, … and measure it.

    Args:
        budget: "cpu", "gpu" or one of your own; that of this machine if `None`.
        seeds: runs of each arm; the budget's own number if `None`.
        path: file to keep the result in, written after each run. Runs that it already has are not
            done again, so that a longer experiment can be stopped and gone on with.
        progress: show a progress bar.

    Raises:
        ValueError: fewer than one seed, or `path` holds other networks or another budget.
        FloatingPointError: an arm diverges; the sentence names it.
    """
    budget = choose(cpu="cpu", gpu="gpu") if budget is None else budget
    budget = experiment.budget(budget) if isinstance(budget, str) else budget
    seeds = budget.seeds if seeds is None else seeds
    if seeds < 1:
        raise ValueError(f"an experiment needs at least one seed, got {seeds}")
    result = Result(
        experiment.name,
        experiment.question,
        experiment.metric,
        json.loads(json.dumps(asdict(budget))),
        experiment.costs(budget),
        list(experiment.claims),
    )
    if path is not None and Path(path).exists():
        result.runs = _runs_of(Path(path), result)
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


def run_arm(arm: Arm, data: Dataset, budget: Budget, seed: int) -> Run:
    """One arm with one seed."""
    start = time.perf_counter()
    try:
        history = arm.train(arm.build, data, budget, seed)
    except FloatingPointError as error:
        raise FloatingPointError(f"{arm.name} with seed {seed}: {error}") from None
    losses = history.step_losses
    accuracies = [epoch.validation_accuracy for epoch in history.epochs]
    return Run(
        arm=arm.name,
        seed=seed,
        test_accuracy=history.test_accuracy,
        training_loss=fmean(losses[-max(1, len(losses) // 10) :]),
        seconds=time.perf_counter() - start,
        machine=f"{describe()}; {history.precision}",
        date=datetime.now(UTC).date().isoformat(),
        commit=commit_of(Path(__file__)),
        validation_accuracies=[rounded(accuracy) for accuracy in accuracies],
        losses=[rounded(loss) for loss in means(losses, POINTS)],
    )


def rounded(value: float) -> float:
    """`value` to the number of significant digits that a recorded curve has."""
    return float(f"{value:.{CURVE_DIGITS}g}")


@cache
def commit_of(file: Path) -> str | None:
    """The commit that `file` was checked out from, with "-dirty" if tracked files have changed.

    The answer is kept for the life of the process, because the results that it writes may be
    tracked files themselves. `None` if `file` is not in a Git checkout.
    """
    git = partial(subprocess.run, cwd=file.parent, capture_output=True, text=True, check=True)
    try:
        git(["git", "ls-files", "--error-unmatch", file.name])
        described = git(["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"])
    except (OSError, subprocess.CalledProcessError):
        return None
    return str(described.stdout).strip()


def means(values: list[float], points: int) -> list[float]:
    """The values themselves, or means over so many stretches of them if there are more."""
    count = min(points, len(values))
    edges = [len(values) * number // count for number in range(count + 1)]
    return [fmean(values[a:b]) for a, b in pairwise(edges)]


def _runs_of(path: Path, new: Result) -> list[Run]:
    old = Result.load(path)
    if (old.experiment, old.budget, old.costs) != (new.experiment, new.budget, new.costs):
        raise ValueError(
            f"{path} holds {old.experiment} with another budget or other networks; "
            "name another file, or delete this one"
        )
    return old.runs
