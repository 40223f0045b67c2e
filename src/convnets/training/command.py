"""The command that trains a registered network and prints its accuracies."""

from pathlib import Path
from typing import Annotated

import typer
from accelerate import PartialState
from rich.console import Console

from convnets.training.data import NAMES, ON_CORRUPT, AnyDataset, load, load_folder
from convnets.training.data.image_folder import IMAGE_SIZE
from convnets.training.device import cpus_of_this_process, describe
from convnets.training.engine import fit
from convnets.training.recipes import RECIPES

IMAGE_FOLDER = "image-folder"
INTERRUPTED = 130
"""Exit code by which shells report a program that Ctrl-C ended."""
RECIPES_OWN = "the recipe's"


def train(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A name from `convnets list`.")],
    data: Annotated[
        str, typer.Option(help=f"Images: {', '.join(NAMES)} or {IMAGE_FOLDER}.")
    ] = "fashion-mnist-small",
    data_root: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the data set's files.",
            show_default=f"downloaded; required for {IMAGE_FOLDER}",
        ),
    ] = None,
    recipe: Annotated[str, typer.Option(help=f"One of {', '.join(RECIPES)}.")] = "modern",
    epochs: Annotated[
        int | None,
        typer.Option(help="Passes over the training images.", show_default=RECIPES_OWN),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Images in a step, over all devices.", show_default=RECIPES_OWN),
    ] = None,
    accumulation_steps: Annotated[
        int,
        typer.Option(
            help="Split each batch into this many parts and add up their gradients, to save memory."
        ),
    ] = 1,
    seed: Annotated[
        int, typer.Option(help="Seed of weights, order of images, augmentation and dropout.")
    ] = 0,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder for checkpoints, weights and history.", show_default="nothing is written"
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --output-dir.", show_default="off")
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda.", show_default="cuda if available")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="no, bf16 or fp16.", show_default="bf16 where the device is fast at it"),
    ] = None,
    compile: Annotated[
        bool,
        typer.Option(
            "--compile", help="Compile the network with torch.compile.", show_default="off"
        ),
    ] = False,
    cuda_graphs: Annotated[
        bool,
        typer.Option(
            "--cuda-graphs",
            help="Compile, and let a GPU repeat the recorded operations of a step.",
            show_default="off",
        ),
    ] = False,
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic",
            help="Compute the same bits in each run on a GPU as well; may be slower.",
            show_default="off",
        ),
    ] = False,
    save_memory: Annotated[
        bool,
        typer.Option(
            "--save-memory",
            help="Recompute DenseNet's feature maps in the backward pass.",
            show_default="off",
        ),
    ] = False,
    image_size: Annotated[
        int, typer.Option(help=f"Height and width of the crops of an {IMAGE_FOLDER}, in pixels.")
    ] = IMAGE_SIZE,
    on_corrupt: Annotated[
        str,
        typer.Option(
            help=f"What to do about an image file that cannot be read: {' or '.join(ON_CORRUPT)}."
        ),
    ] = ON_CORRUPT[0],
    num_workers: Annotated[
        int | None,
        typer.Option(help="Processes that read image files.", show_default="one for each CPU"),
    ] = None,
) -> None:
    """Train a network and print its accuracies."""
    console = Console(quiet=not PartialState().is_main_process)
    try:
        record = fit(
            name,
            _load(context, data, data_root, on_corrupt, image_size),
            recipe,
            epochs,
            seed,
            output_dir,
            device,
            batch_size=batch_size,
            resume=resume,
            precision=precision,
            accumulation_steps=accumulation_steps,
            compile=compile,
            cuda_graphs=cuda_graphs,
            deterministic=deterministic,
            save_memory=save_memory,
            num_workers=cpus_of_this_process() if num_workers is None else num_workers,
        )
    except KeyboardInterrupt as stop:
        console.print(str(stop), markup=False, soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
    except (ValueError, OSError, RuntimeError, FloatingPointError, MemoryError) as error:
        raise typer.BadParameter(str(error)) from None
    console.print(describe(record.device))
    console.print(f"test accuracy {record.test_accuracy:.1%}")


def _load(
    context: typer.Context, data: str, root: Path | None, on_corrupt: str, image_size: int
) -> AnyDataset:
    if data != IMAGE_FOLDER:
        for option in ("image_size", "on_corrupt", "num_workers"):
            source = context.get_parameter_source(option)
            if source is not None and source.name == "COMMANDLINE":
                raise ValueError(
                    f"--{option.replace('_', '-')} is an option of --data {IMAGE_FOLDER}, not of "
                    f"--data {data}; omit it"
                )
        return load(data, root)
    if root is None:
        raise ValueError(
            f"--data {IMAGE_FOLDER} needs --data-root, the folder that contains train and val"
        )
    return load_folder(root, on_corrupt, image_size)
