"""The lecture's experiments: each a question, the networks that answer it, and two budgets.

>>> from convnets.experiments import recorded
>>> print(recorded("degradation").verdict())
plain-20 against plain-56: training loss 0.346 against 0.953. ...
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
from convnets.experiments.core import Arm, Budget, Cost, EqualCost, Experiment, Hypothesis
from convnets.experiments.result import ArmRun, Comparison, ExperimentResult, Summary
from convnets.experiments.running import run

__all__ = [
    "EXPERIMENTS",
    "Arm",
    "ArmRun",
    "Budget",
    "Comparison",
    "Cost",
    "EqualCost",
    "Experiment",
    "ExperimentResult",
    "Hypothesis",
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
"""All experiments by name, in the order of the lecture."""


def experiment(name: str) -> Experiment:
    """Look up an experiment by its name.

    Raises:
        ValueError: The name is unknown; the message suggests similar names.

    Example:
        >>> experiment("degradation").question
        'Does a deeper network fit its training images worse, and do shortcuts help?'
    """
    if name not in EXPERIMENTS:
        near = difflib.get_close_matches(name, EXPERIMENTS, n=3, cutoff=0.4)
        hint = (
            f"did you mean {', '.join(near)}?" if near else f"choose from {', '.join(EXPERIMENTS)}"
        )
        raise ValueError(f"unknown experiment {name!r}; {hint}")
    return EXPERIMENTS[name]


def recorded(name: str, budget: str = "cpu") -> ExperimentResult:
    """Load the result of an experiment that is distributed with the package.

    Args:
        name: Name of the experiment.
        budget: Name of the budget with which it was run.

    Raises:
        ValueError: The name is unknown, or the experiment was not recorded with this budget.

    Example:
        >>> result = recorded("degradation", "cpu")
        >>> [row.arm for row in result.summaries()]
        ['plain-20', 'plain-56', 'ResNet-20', 'ResNet-56']
    """
    file = resources.files(__name__) / "recorded" / f"{experiment(name).name}-{budget}.json"
    if not file.is_file():
        raise ValueError(
            f"{name} was not recorded with the budget {budget!r}; to run it, type "
            f"`convnets experiment {name} --budget {budget} --output-dir results`"
        )
    with resources.as_file(file) as path:
        return ExperimentResult.load(path)
