"""`python -m convnets.training resnet20`: train a registered network and measure it."""

import os
from pathlib import Path
from typing import Annotated

import typer
from accelerate import PartialState
from rich.console import Console

from convnets.training.data import DAMAGED, NAMES, AnyDataset, load, load_folder
from convnets.training.device import describe
from convnets.training.engine import fit
from convnets.training.recipes import RECIPES

FOLDER = "image-folder"
STOPPED = 130
"""What a shell says of a program that Ctrl-C ended."""


def main(
    name: Annotated[str, typer.Argument(help="a name from `python -m convnets list`")],
    data: Annotated[
        str, typer.Option(help=f"{FOLDER}, {', '.join(NAMES)}")
    ] = "fashion-mnist-small",
    data_root: Annotated[Path | None, typer.Option(help="folder of the files")] = None,
    recipe: Annotated[str, typer.Option(help=", ".join(RECIPES))] = "modern",
    epochs: Annotated[int | None, typer.Option(help="[default: the recipe's]")] = None,
    batch_size: Annotated[int | None, typer.Option(help="[default: the recipe's]")] = None,
    parts: Annotated[int, typer.Option(help="parts of a batch, to save memory")] = 1,
    seed: int = 0,
    out: Annotated[Path | None, typer.Option(help="folder of the run")] = None,
    resume: Annotated[bool, typer.Option(help="go on with the run in --out")] = False,
    device: Annotated[str | None, typer.Option(help="cpu or cuda [default: what is there]")] = None,
    precision: Annotated[
        str | None, typer.Option(help="no, bf16 or fp16 [default: bf16 where it is fast]")
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="use torch.compile")] = False,
    save_memory: Annotated[
        bool, typer.Option("--save-memory", help="make DenseNet's maps again when needed")
    ] = False,
    side: Annotated[int, typer.Option(help="pixels of the crop of an image file")] = 224,
    damaged: Annotated[str, typer.Option(help=f"image files: {' or '.join(DAMAGED)}")] = "stop",
    workers: Annotated[int | None, typer.Option(help="processes that read image files")] = None,
) -> None:
    """Train a network, print its accuracies, keep its checkpoints and history in --out."""
    console = Console(quiet=not PartialState().is_main_process)
    try:
        history = fit(
            name,
            _images(data, data_root, damaged, side),
            recipe,
            epochs,
            seed,
            out,
            device,
            batch_size=batch_size,
            resume=resume,
            precision=precision,
            parts=parts,
            compiled=compiled,
            save_memory=save_memory,
            workers=(os.cpu_count() or 1) if workers is None else workers,
        )
    except KeyboardInterrupt as stop:
        console.print(str(stop))
        raise typer.Exit(STOPPED) from None
    except (ValueError, OSError, RuntimeError, FloatingPointError, MemoryError) as error:
        raise typer.BadParameter(str(error)) from None
    console.print(describe())
    for epoch in history.epochs:
        console.print(
            f"epoch {epoch.number}: training loss {epoch.train_loss:.3f}, "
            f"validation accuracy {epoch.validation_accuracy:.1%}, {epoch.seconds:.0f} s"
        )
    console.print(f"test accuracy {history.test_accuracy:.1%}")


def _images(data: str, root: Path | None, damaged: str, side: int) -> AnyDataset:
    if data != FOLDER:
        return load(data, root)
    if root is None:
        raise ValueError(f"name the folder around train and val: --data {FOLDER} --data-root …")
    return load_folder(root, damaged, side)


if __name__ == "__main__":
    typer.run(main)
