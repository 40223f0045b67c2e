"""`python -m convnets.experiments degradation --budget cpu --seeds 3 --out results`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from convnets.experiments import EXPERIMENTS, Result, experiment, run
from convnets.training.device import choose, describe


def main(
    names: Annotated[list[str], typer.Argument(help="experiments, or `list` to see which exist")],
    budget: Annotated[str | None, typer.Option(help="cpu or gpu [default: this machine's]")] = None,
    seeds: Annotated[int | None, typer.Option(help="[default: the budget's]")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for NAME-BUDGET.json")] = None,
) -> None:
    """Run experiments of the lecture. A run that was stopped goes on from its file in --out."""
    console = Console()
    if names == ["list"]:
        console.print(_all())
        return
    budget = choose(cpu="cpu", gpu="gpu") if budget is None else budget
    console.print(describe())
    try:
        for chosen in [experiment(name) for name in names]:
            path = out / f"{chosen.name}-{budget}.json" if out is not None else None
            result = run(chosen, budget, seeds, path)
            console.print(_table(result))
            console.print(result.verdict())
    except (ValueError, OSError, RuntimeError, FloatingPointError) as error:
        raise typer.BadParameter(str(error)) from None


def _all() -> Table:
    table = Table("name", "slides", "question", "networks")
    for name, entry in EXPERIMENTS.items():
        slides = ", ".join(map(str, entry.slides))
        table.add_row(name, slides, entry.question, "; ".join(arm.name for arm in entry.arms))
    return table


def _table(result: Result) -> Table:
    table = Table(title=f"{result.experiment}: {result.metric}")
    table.add_column("network")
    for header in ("parameters", "MACs", "runs", "mean", "lowest", "highest", "s a run"):
        table.add_column(header, justify="right")
    for row in result.summaries():
        values = (f"{value:.4f}" for value in (row.mean, row.lowest, row.highest))
        table.add_row(
            row.arm,
            f"{row.parameters:,}",
            f"{row.macs:,}",
            str(row.runs),
            *values,
            f"{row.seconds:.1f}",
        )
    return table


if __name__ == "__main__":
    typer.run(main)
