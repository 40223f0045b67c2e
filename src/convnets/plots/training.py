"""Pictures of training runs: curves over steps, results with their spread over seeds."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from convnets.experiments import ExperimentResult
from convnets.plots.style import LINE_STYLES, MARKERS, PALETTE, styled


@styled
def results_by_group(ax: Axes, results: Mapping[str, Sequence[float]], label: str) -> Axes:
    """Every run as a dot, one row a group, with a bar at the group's mean.

    Args:
        ax: where to draw.
        results: group -> one value for each seed.
        label: of the axis, with its unit.
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
    """Training loss by step, smoothed; a line a run, a colour and line style a group.

    Args:
        ax: where to draw.
        losses: group -> for each seed the loss of every step, in nats.
        window: steps over which the running mean is taken.
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
    """Every run of an experiment as a dot, one row an arm, with a bar at the arm's mean.

    Args:
        ax: where to draw.
        result: accuracies are drawn in per cent, losses in nats.
    """
    in_percent = result.metric == "test accuracy"
    scale, unit = (100, "%") if in_percent else (1, "nats")
    values = {
        arm: [scale * run.value(result.metric) for run in result.runs if run.arm == arm]
        for arm in result.costs
    }
    return results_by_group(ax, values, f"{result.metric} ({unit})")
