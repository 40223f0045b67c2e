"""The command that lists and runs experiments."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from convnets.experiments import EXPERIMENTS, ExperimentResult, experiment, run
from convnets.training.device import choose, describe


def run_experiments(
    names: Annotated[
        list[str], typer.Argument(help="Names of experiments, or `list` to list them all.")
    ],
    budget: Annotated[
        str | None,
        typer.Option(help="cpu or gpu.", show_default="gpu if this machine has one, else cpu"),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(help="Runs of each network.", show_default="as many as the budget says"),
    ] = None,
    output_dir: Annotated[
        Path | None,
        typer.Option(help="Folder for the results, NAME-BUDGET.json.", show_default="not saved"),
    ] = None,
) -> None:
    """Run experiments of the lecture and say whether their claims hold.

    With --output-dir, an interrupted experiment continues where it stopped.
    """
    console = Console()
    if names == ["list"]:
        console.print(_list())
        return
    budget = choose(cpu="cpu", gpu="gpu") if budget is None else budget
    console.print(describe())
    try:
        for chosen in [experiment(name) for name in names]:
            path = output_dir / f"{chosen.name}-{budget}.json" if output_dir is not None else None
            result = run(chosen, budget, seeds, path)
            console.print(_table(result))
            console.print(result.verdict())
    except (ValueError, OSError, RuntimeError, FloatingPointError) as error:
        raise typer.BadParameter(str(error)) from None


def _list() -> Table:
    table = Table()
    table.add_column("name", no_wrap=True)
    table.add_column("slides", no_wrap=True)
    table.add_column("question")
    for name, entry in EXPERIMENTS.items():
        table.add_row(name, ", ".join(map(str, entry.slides)), entry.question)
    return table


def _table(result: ExperimentResult) -> Table:
    table = Table(title=f"{result.experiment}: {result.metric} ({result.effort()})")
    table.add_column("network")
    for header in ("params", "MACs", "mean", "lowest", "highest", "s/run"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in result.summaries():
        values = (f"{value:.4f}" for value in (row.mean, row.lowest, row.highest))
        costs = (_short(row.parameters), _short(row.macs))
        table.add_row(row.arm, *costs, *values, f"{row.seconds:.1f}")
    return table


def _short(count: int) -> str:
    """The count in thousands, millions or billions, as in 16.6k, 4.1M or 1.3G."""
    for unit, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= unit:
            return f"{count / unit:.1f}{letter}"
    return str(count)
