"""Train a network: `fit`.

`accelerate` carries the device, the processes and the number format; the loop is in `run.py`.
"""

from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn

from convnets.models import create_model
from convnets.models.densenet import DenseLayer
from convnets.training.data import AnyDataset, load
from convnets.training.device import default_device, has_fast_bfloat16
from convnets.training.evaluation import BATCH
from convnets.training.history import History
from convnets.training.interrupt import StopAsked
from convnets.training.recipes import Recipe, chosen
from convnets.training.run import Run


def fit(
    net: nn.Module | str,
    data: AnyDataset | str = "fashion-mnist-small",
    recipe: Recipe | str = "modern",
    epochs: int | None = None,
    seed: int = 0,
    out: Path | str | None = None,
    device: torch.device | str | None = None,
    progress: bool = True,
    *,
    batch_size: int | None = None,
    resume: bool = False,
    precision: str | None = None,
    parts: int = 1,
    compiled: bool = False,
    save_memory: bool = False,
    workers: int = 0,
) -> History:
    """Train `net` and measure it once on the test images.

    A tenth of the training images, chosen by `seed`, is held out to validate after each epoch.
    Images smaller than the network takes are padded with black; networks made for ImageNet do
    without their first strides on small ones. Under `accelerate launch` or `torchrun` all processes
    share each batch.

    Args:
        net: a network of the course's contract, trained in place, or a registered name.
        data: a loaded data set or its name.
        recipe: a recipe or its name in `RECIPES`.
        epochs: passes over the training images; the recipe's own number if `None`.
        seed: of initialisation (for a name), order of the images, augmentation and dropout.
        out: folder for checkpoints, weights and history; nothing is written if `None`.
        device: where to train; the GPU if there is one, else the CPU.
        progress: show a progress bar.
        batch_size: images in a step; the recipe's own number if `None`.
        resume: go on from the checkpoint in `out`, if there is one.
        precision: "no" (float32), "bf16" or "fp16"; bfloat16 where it is fast if `None`.
        parts: work through each batch in so many parts, to save memory.
        compiled: run the network through torch.compile.
        save_memory: make concatenated maps again in the backward pass: slower, but larger
            DenseNets fit.
        workers: processes that read image files; none for images in memory.

    Raises:
        ValueError: something cannot be trained so; the sentence says what to change.
        FloatingPointError: the loss is no longer a number.
        MemoryError: a batch does not fit; the sentence says which size does.
        KeyboardInterrupt: someone stopped the run; what was learnt is in the checkpoint.
    """
    recipe = chosen(recipe, epochs, batch_size)
    dataset = load(data) if isinstance(data, str) else data
    accelerator = make_accelerator(device, precision)
    with torch.random.fork_rng(), StopAsked() as stop:
        torch.manual_seed(seed)
        name = net if isinstance(net, str) else type(net).__name__
        if isinstance(net, str):
            net = create_model(
                net,
                num_classes=len(dataset.classes),
                in_channels=dataset.in_channels,
                small_input=dataset.train.side <= 32,
            )
        if save_memory:
            forget_maps_(net)
        history = History(
            net, recipe, dataset.name, seed, str(accelerator.device), accelerator.mixed_precision
        )
        run = Run(history, dataset, accelerator, parts, compiled, workers)
        if out is not None:
            run.open(Path(out), name, resume)
        run.train(stop, progress)
        history.test_accuracy = run.measure(run.batches_of(dataset.test, BATCH))
        run.close()
    return history


def forget_maps_(net: nn.Module) -> None:
    """Let every layer that can do so make its maps again in the backward pass.

    Raises:
        ValueError: no layer can.
    """
    layers = [layer for layer in net.modules() if isinstance(layer, DenseLayer)]
    if not layers:
        raise ValueError(
            f"{type(net).__name__} has no dense layers that could save memory; leave save_memory "
            "(--save-memory) out, or work through a batch in parts=… (--parts)"
        )
    for layer in layers:
        layer.save_memory = True


def make_accelerator(device: torch.device | str | None, precision: str | None) -> Accelerator:
    """An accelerator for this run; the process may have made one for another device before.

    Raises:
        ValueError: unknown precision, or one that the device lacks.
    """
    target = torch.device(device) if device is not None else default_device()
    if precision is None:
        precision = "bf16" if has_fast_bfloat16(target) else "no"
    if precision not in ("no", "bf16", "fp16") or (precision, target.type) == ("fp16", "cpu"):
        raise ValueError(f"precision {precision!r} is not for the {target.type}; choose no or bf16")
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(cpu=target.type == "cpu", mixed_precision=precision)
