"""`python -m convnets`: look at the architectures from the terminal."""

from dataclasses import astuple
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

import convnets
from convnets.analysis import Trace, trace

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
WIDTH_IN_A_PIPE = 200


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH_IN_A_PIPE)


def _percent(error: float | None) -> str:
    return "" if error is None else f"{error:.2f}"


@app.command("list")
def list_networks() -> None:
    """List every architecture: year, parameters, MACs, published error."""
    table = Table()
    table.add_column("name", no_wrap=True)
    for header in (
        "family",
        "year",
        "input",
        "parameters",
        "MACs",
        "top-1 error %",
        "top-5 error %",
    ):
        table.add_column(header, justify="left" if header == "family" else "right")
    table.add_column("error measured on")
    for name in convnets.list_models():
        card = convnets.card(name)
        table.add_row(
            name,
            card.family,
            str(card.year),
            f"{card.input_size}x{card.input_size}",
            f"{card.parameters:,}",
            f"{card.macs:,}",
            _percent(card.top1_error),
            _percent(card.top5_error),
            card.error_source or "",
        )
    _console().print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="a name from `python -m convnets list`")],
    input_size: Annotated[
        int | None, typer.Option(help="side of the square image in pixels [default: the paper's]")
    ] = None,
) -> None:
    """Print every layer of an architecture: kernel, output shape, parameters, MACs, bytes."""
    try:
        card = convnets.card(name)
        with torch.device("meta"):
            net = convnets.create_model(name)
        size = card.input_size if input_size is None else input_size
        table = trace(net, size).table(f"{card.title} for one image of {size}x{size} pixels")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    _console().print(table)


@app.command()
def compare(
    names: Annotated[list[str], typer.Argument(help="names from `python -m convnets list`")],
) -> None:
    """Put architectures side by side: depth, parameters, MACs, activations, published errors."""
    columns = {}
    try:
        for name in names:
            card = convnets.card(name)
            with torch.device("meta"):
                net = convnets.create_model(name)
            columns[name] = _properties(card, trace(net, card.input_size))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    table = Table()
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for key in columns[names[0]]:
        table.add_row(key, *(column[key] for column in columns.values()))
    _console().print(table)


@app.command("ledger")
def print_ledger(
    slide: Annotated[
        int | None, typer.Option(min=1, max=69, help="one slide only [default: all]")
    ] = None,
    differs: Annotated[
        bool, typer.Option("--differs", help="only where the slide differs")
    ] = False,
) -> None:
    """Print what the lecture's slides claim, and what we compute."""
    from convnets.lecture import ledger  # the other commands start without it

    table = Table(show_lines=True)
    for header in ("slide", "statement", "claimed", "computed", "verdict", "note"):
        table.add_column(header, overflow="fold")
    for row in ledger():
        if slide in (None, row.slide) and (row.verdict == "differs" or not differs):
            table.add_row(*map(str, astuple(row)))
    _console().print(table)


def _properties(card: convnets.Card, layers: Trace) -> dict[str, str]:
    weighted = [row for row in layers if row.macs > 0]
    return {
        "year": str(card.year),
        "input": f"{card.input_size}x{card.input_size}",
        "convolutions and fully connected layers": str(len(weighted)),
        "parameters": f"{layers.parameters:,}",
        "MACs": f"{layers.macs:,}",
        "outputs of all layers, MB": f"{layers.activation_bytes / 1e6:.1f}",
        "top-1 error %": _percent(card.top1_error),
        "top-5 error %": _percent(card.top5_error),
        "error measured on": card.error_source or "",
    }


if __name__ == "__main__":
    app()
