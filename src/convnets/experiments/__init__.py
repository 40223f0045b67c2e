"""The lecture's experiments: each a question, the networks that answer it, and two budgets.

>>> from convnets.experiments import experiment, run
>>> result = run(experiment("degradation"), budget="cpu")
>>> print(result.verdict())
"""

import difflib
from importlib import resources

from convnets.experiments import (
    accuracy,
    automatic,
    depth,
    efficiency,
    modules,
    plain_networks,
)
from convnets.experiments.core import Arm, Budget, Claim, Cost, EqualCost, Experiment
from convnets.experiments.result import Finding, Result, Run, Summary
from convnets.experiments.running import run

__all__ = [
    "EXPERIMENTS",
    "Arm",
    "Budget",
    "Claim",
    "Cost",
    "EqualCost",
    "Experiment",
    "Finding",
    "Result",
    "Run",
    "Summary",
    "experiment",
    "recorded",
    "run",
]

EXPERIMENTS: dict[str, Experiment] = {
    entry.name: entry
    for entry in sorted(
        (
            entry
            for part in (plain_networks, modules, depth, accuracy, efficiency, automatic)
            for entry in part.EXPERIMENTS
        ),
        key=lambda entry: entry.slides,
    )
}
"""In the lecture's order."""


def experiment(name: str) -> Experiment:
    """The experiment called `name`.

    Raises:
        ValueError: unknown name; the sentence lists the nearest ones.
    """
    if name not in EXPERIMENTS:
        near = difflib.get_close_matches(name, EXPERIMENTS, n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(EXPERIMENTS)}"
        raise ValueError(f"unknown experiment {name!r}; {hint}")
    return EXPERIMENTS[name]


def recorded(name: str, budget: str = "cpu") -> Result:
    """The larger run of an experiment that comes with the package.

    Raises:
        ValueError: no such experiment, or it was not recorded with this budget.
    """
    file = resources.files(__name__) / "recorded" / f"{experiment(name).name}-{budget}.json"
    if not file.is_file():
        raise ValueError(
            f"{name} was not recorded with the budget {budget!r}; run it: "
            f"python -m convnets.experiments {name} --budget {budget} --out results"
        )
    with resources.as_file(file) as path:
        return Result.load(path)
