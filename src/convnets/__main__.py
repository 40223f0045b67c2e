"""The command `convnets`: architectures, the lecture's claims, training and experiments."""

from collections.abc import Callable
from dataclasses import astuple
from typing import Annotated

import torch
import typer
from rich.table import Column

import convnets
from convnets.tables import FittingTable, make_console, short, short_macs

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Look at the lecture's architectures and claims, train networks, and run experiments.",
)

_PASS_ALL_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command("list")
def list_networks() -> None:
    """List every architecture: year, input size, parameters, MACs, published errors."""
    rows = [
        (
            card.name,
            card.family,
            str(card.year),
            _square(card.input_size),
            short(card.parameters),
            short_macs(card.macs),
            *_published(card),
        )
        for card in map(convnets.card, convnets.list_models())
    ]
    columns = (
        Column("name"),
        Column("family"),
        *_right("year", "input", "params", "MACs", "top-1 error", "top-5 error"),
        Column("error measured on"),
    )
    optional = ("error measured on", "family", "input", "year", "top-5 error")
    make_console().print(FittingTable(columns, rows, optional))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A name from `convnets list`.")],
    image_size: Annotated[
        int | None,
        typer.Option(
            help="Height and width of the image, in pixels.", show_default="as in the paper"
        ),
    ] = None,
) -> None:
    """Print every layer of an architecture: kernel, output shape, parameters, MACs, memory.

    All bytes are for one image: those of the layer's output, those that it is the first to keep for
    the backward pass (saved), and the most that inference holds while it runs (peak).
    """
    try:
        layers = _trace(name, image_size)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    size = _square(layers.input_shape[-1])
    title = f"{convnets.card(name).title} for one image of {size} pixels"
    make_console().print(layers.table(title))


@app.command()
def compare(
    names: Annotated[list[str], typer.Argument(help="Names from `convnets list`.")],
) -> None:
    """Compare architectures: layers, parameters, MACs, memory, published errors.

    Layers are the convolutions and fully connected layers. For one image, "saved" is what training
    keeps for the backward pass, and "peak" the most that inference holds at any time.
    """
    try:
        rows = [_compared(name) for name in names]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    columns = (
        Column("name"),
        *_right("year", "input", "layers", "params", "MACs", "saved", "peak", "top-1 error"),
        *_right("top-5 error"),
        Column("error measured on"),
    )
    optional = ("error measured on", "year", "input", "top-5 error", "peak", "saved")
    make_console().print(FittingTable(columns, rows, optional))


@app.command()
def ledger(
    slide: Annotated[
        int | None, typer.Option(min=1, max=69, help="Print one slide only.", show_default="all")
    ] = None,
    differs: Annotated[
        bool,
        typer.Option("--differs", help="Print only claims that differ.", show_default="off"),
    ] = False,
) -> None:
    """Print what the lecture's slides claim, and what we compute."""
    columns = (
        Column("slide", justify="right"),
        Column("statement", min_width=18),
        Column("claimed", min_width=12),
        Column("computed", min_width=12),
        Column("verdict"),
        Column("note", min_width=22),
    )
    rows = [
        [str(value) for value in astuple(row)]
        for row in convnets.lecture.ledger()
        if slide in (None, row.slide) and (row.verdict == "differs" or not differs)
    ]
    optional = ("verdict", "note") if differs else ("note", "verdict")
    make_console().print(FittingTable(columns, rows, optional, show_lines=True))


@app.command(context_settings=_PASS_ALL_ON, add_help_option=False)
def train(context: typer.Context) -> None:
    """Train a network and print its accuracies."""
    from convnets.training.command import train

    _run(train, context)


@app.command(context_settings=_PASS_ALL_ON, add_help_option=False)
def experiment(context: typer.Context) -> None:
    """Run experiments of the lecture and print whether their claims hold."""
    from convnets.experiments.command import run_experiments

    _run(run_experiments, context)


def _run(command: Callable[..., None], context: typer.Context) -> None:
    """Run a command that is imported only when it is needed, which keeps the others fast."""
    one = typer.Typer(add_completion=False)
    one.command()(command)
    one(context.args, prog_name=context.command_path)


def _trace(name: str, image_size: int | None = None) -> convnets.analysis.Trace:
    with torch.device("meta"):
        net = convnets.create_model(name)
    return convnets.analysis.trace(net, image_size)


def _compared(name: str) -> tuple[str, ...]:
    card, layers = convnets.card(name), _trace(name)
    return (
        name,
        str(card.year),
        _square(card.input_size),
        str(sum(layer.macs > 0 for layer in layers)),
        short(layers.parameters),
        short_macs(layers.macs),
        *(f"{(size or 0) / 2**20:.1f} MiB" for size in (layers.saved_bytes, layers.peak_bytes)),
        *_published(card),
    )


def _published(card: convnets.Card) -> tuple[str, str, str]:
    """Top-1 error, top-5 error, and what they were measured on."""
    errors = (card.top1_error, card.top5_error)
    top1, top5 = ("" if error is None else f"{error:.2f}%" for error in errors)
    return top1, top5, card.error_source or ""


def _right(*headers: str) -> list[Column]:
    return [Column(header, justify="right") for header in headers]


def _square(side: int) -> str:
    return f"{side}x{side}"


if __name__ == "__main__":
    app()
