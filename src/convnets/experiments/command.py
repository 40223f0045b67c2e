"""The command that lists and runs experiments."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column

from convnets.experiments import EXPERIMENTS, ExperimentResult, experiment, run
from convnets.tables import FittingTable, make_console, short, short_macs
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
    """Run experiments of the lecture and print whether their claims hold.

    With --output-dir, an interrupted experiment continues where it stopped.
    """
    console = make_console()
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


def _list() -> FittingTable:
    columns = (Column("name"), Column("slides"), Column("question", min_width=30))
    rows = [
        (name, ", ".join(map(str, entry.slides)), entry.question)
        for name, entry in EXPERIMENTS.items()
    ]
    return FittingTable(columns, rows, optional=["slides"])


def _table(result: ExperimentResult) -> FittingTable:
    headers = ("params", "MACs", "mean", "lowest", "highest", "s/run")
    columns = [
        Column("network", min_width=16),
        *(Column(header, justify="right") for header in headers),
    ]
    rows = [
        (
            row.arm,
            short(row.parameters),
            short_macs(row.macs),
            *(f"{value:.4f}" for value in (row.mean, row.lowest, row.highest)),
            f"{row.seconds:.1f}",
        )
        for row in result.summaries()
    ]
    title = f"{result.experiment}: {result.metric} ({result.effort()})"
    return FittingTable(columns, rows, ["s/run", "highest", "lowest"], title)
