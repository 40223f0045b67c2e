"""Figures of training runs: curves over steps, and results with their spread over seeds."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from convnets.experiments import ExperimentResult
from convnets.plots.style import LINE_STYLES, MARKERS, PALETTE, styled


@styled
def results_by_group(ax: Axes, results: Mapping[str, Sequence[float]], label: str) -> Axes:
    """Draw every run as a dot, one row for each group, with a bar at the mean of the group.

    Args:
        ax: axes to draw on.
        results: maps a group to one value for each seed, in the unit that `label` names.
        label: label of the value axis, with its unit.

    Example:
        >>> from convnets.plots import figure
        >>> results = {"plain": [80.1, 80.9], "residual": [84.0, 84.4]}
        >>> ax = results_by_group(figure().axes[0], results, "test accuracy, %")
    """
    for row, (values, marker) in enumerate(zip(results.values(), MARKERS * 3, strict=False)):
        color = PALETTE[row % len(PALETTE)]
        ax.plot(values, [row] * len(values), marker, color=color, linestyle="none", markersize=8)
        mean = float(np.mean(values))
        ax.plot([mean, mean], [row - 0.3, row + 0.3], "-", color=color)
    ax.set_yticks(range(len(results)), list(results))
    ax.set_ylim(len(results) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(label)
    return ax


@styled
def loss_curves(
    ax: Axes, losses: Mapping[str, Sequence[Sequence[float]]], window: int = 20
) -> Axes:
    """Draw the smoothed training loss by step, one line for each run.

    All runs of a group have the same colour and line style.

    Args:
        ax: axes to draw on.
        losses: maps a group to its runs, one for each seed. A run is the loss of every step, in
            nats.
        window: number of steps of the running mean.

    Example:
        >>> from convnets.plots import figure
        >>> losses = {"plain": [[2.3, 1.9, 1.2]], "residual": [[2.3, 1.5, 0.9]]}
        >>> ax = loss_curves(figure().axes[0], losses)
    """
    for index, (name, runs) in enumerate(losses.items()):
        for number, run in enumerate(runs):
            smooth = np.convolve(run, np.ones(window) / window, mode="valid")
            ax.plot(
                np.arange(len(smooth)) + window,
                smooth,
                color=PALETTE[index % len(PALETTE)],
                linestyle=LINE_STYLES[index % len(LINE_STYLES)],
                label=name if number == 0 else None,
            )
    ax.set_xlabel("training step")
    ax.set_ylabel("training loss (nats)")
    ax.legend()
    return ax


def experiment_runs(ax: Axes, result: ExperimentResult) -> Axes:
    """Draw every run of an experiment as a dot, one row for each arm, with a bar at its mean.

    Args:
        ax: axes to draw on.
        result: result of an experiment, such as `convnets.experiments.recorded` returns.
            Accuracies are drawn in percent, losses in nats.

    Example:
        >>> from convnets.plots import figure
        >>> from convnets.experiments import recorded
        >>> ax = experiment_runs(figure().axes[0], recorded("degradation"))
    """
    in_percent = result.metric == "test accuracy"
    scale, unit = (100, "%") if in_percent else (1, "nats")
    values = {
        arm: [scale * run.value(result.metric) for run in result.runs if run.arm == arm]
        for arm in result.costs
    }
    return results_by_group(ax, values, f"{result.metric} ({unit})")
