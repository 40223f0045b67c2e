"""`python -m convnets.training resnet20`: train a registered network and measure it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from convnets.training.data import load
from convnets.training.device import describe
from convnets.training.engine import fit


def main(
    name: Annotated[str, typer.Argument(help="a name from `python -m convnets list`")],
    data: Annotated[str, typer.Option(help="fashion-mnist-small or fashion-mnist")] = (
        "fashion-mnist-small"
    ),
    data_root: Annotated[Path | None, typer.Option(help="folder of the original files")] = None,
    recipe: Annotated[str, typer.Option(help="modern or plain-sgd")] = "modern",
    epochs: Annotated[int | None, typer.Option(help="[default: the recipe's]")] = None,
    seed: int = 0,
    out: Annotated[Path | None, typer.Option(help="folder for history.json")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda [default: what is there]")] = None,
) -> None:
    """Train a network on Fashion-MNIST, print its accuracies, write its history."""
    console = Console()
    console.print(describe())
    try:
        history = fit(name, load(data, data_root), recipe, epochs, seed, out, device)
    except (ValueError, OSError, RuntimeError, FloatingPointError) as error:
        raise typer.BadParameter(str(error)) from None
    for epoch in history.epochs:
        console.print(
            f"epoch {epoch.number}: training loss {epoch.train_loss:.3f}, "
            f"validation accuracy {epoch.validation_accuracy:.1%}, {epoch.seconds:.0f} s"
        )
    console.print(f"test accuracy {history.test_accuracy:.1%}")


if __name__ == "__main__":
    typer.run(main)
