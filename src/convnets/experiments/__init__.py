"""The lecture's experiments: each a question, the networks that answer it, and two budgets.

>>> from convnets.experiments import recorded
>>> print(recorded("degradation").verdict())
plain-20 against plain-56: training loss 0.346 against 0.953. ...
"""

import difflib
from pathlib import Path

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
    "on_gpu",
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

RECORDED = Path(__file__).with_name("recorded")
"""Folder of the results that are distributed with the package."""


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
    file = RECORDED / f"{experiment(name).name}-{budget}.json"
    if not file.is_file():
        raise ValueError(
            f"{name} was not recorded with the budget {budget!r}; to run it, type "
            f"`convnets experiment {name} --budget {budget} --output-dir results`"
        )
    return ExperimentResult.load(file)


def on_gpu(name: str) -> str:
    """What an experiment showed with its GPU budget, as a paragraph that follows the CPU's result.

    Args:
        name: Name of the experiment.

    Returns:
        Markdown that starts with an empty line. Nothing before `make gpu` has recorded two runs of
        each network with this budget: fewer do not show how much results vary.

    Raises:
        ValueError: The name is unknown.

    Example:
        >>> text = "The CPU's result." + on_gpu("degradation")
        >>> text.startswith("The CPU's result.")
        True
    """
    if not (RECORDED / f"{experiment(name).name}-gpu.json").is_file():
        return ""
    result = recorded(name, "gpu")
    if any(sum(run.arm == arm for run in result.runs) < 2 for arm in result.costs):
        return ""
    sentences = "\n".join(f"- {sentence}" for sentence in result.verdict().splitlines())
    return f"\n\nWith the larger budget, on a GPU:\n\n{sentences}\n\n({result.origin()}.)"
