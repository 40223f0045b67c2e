"""`fit`, which trains a network; the training loop itself is in `trainer.py`.

accelerate chooses devices, processes and number formats.
"""

import os
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import patch_environment
from torch import nn

from convnets import registry
from convnets.models import create_model
from convnets.models.densenet import DenseLayer
from convnets.models.speed import has_fast_bfloat16
from convnets.seeding import fixed_seed
from convnets.training.batches import two_images
from convnets.training.data import AnyDataset, check_for_training, load
from convnets.training.device import algorithms, default_workers, resolve_device
from convnets.training.evaluation import check_scores
from convnets.training.interrupt import DeferredInterrupt
from convnets.training.options import check_determinism, check_options, check_recipe, suited
from convnets.training.recipes import Recipe, for_network, resolve_recipe
from convnets.training.record import RunRecord
from convnets.training.run_folder import RunFolder
from convnets.training.trainer import Trainer


def fit(
    net: nn.Module | str,
    data: AnyDataset | str = "fashion-mnist-small",
    recipe: Recipe | str = "modern",
    epochs: int | None = None,
    seed: int = 0,
    output_dir: Path | str | None = None,
    device: torch.device | str | None = None,
    progress: bool = True,
    *,
    batch_size: int | None = None,
    resume: bool = False,
    precision: str | None = None,
    accumulation_steps: int = 1,
    compile: bool = False,
    cuda_graphs: bool = False,
    deterministic: bool = False,
    save_memory: bool = False,
    num_workers: int | None = None,
) -> RunRecord:
    """Train a network, and measure it once on the test images.

    A tenth of the training images, chosen by `seed`, is held out for validation after each epoch.
    Images smaller than the network accepts are padded with black. A network that is given by its
    name, was made for ImageNet and meets images of at most 32 pixels is built without its first
    strides; a printed line says so. Under `accelerate launch` or `torchrun`, all processes share
    each batch.

    Args:
        net: a registered name, or a network (N, C, H, W) -> (N, classes), trained in place.
        data: a loaded data set or its name.
        recipe: a recipe or its name in `RECIPES`. "modern" takes the learning rate that was
            measured for the network's family, or for other families one of similar networks.
        epochs: passes over the training images; the recipe's own number if `None`.
        seed: decides initial weights (of a name), order of images, augmentation and dropout.
        output_dir: folder for checkpoints, weights and history; nothing is written if `None`.
        device: where to train; the GPU if there is one, otherwise the CPU.
        progress: show a progress bar, and print a line after each epoch.
        batch_size: images in a step, over all processes; the recipe's own number if `None`.
        resume: continue the run in `output_dir`, from its checkpoint if it has saved one.
        precision: "no" (float32), "bf16" or "fp16"; if `None`, bfloat16 where the device is fast
            at it.
        accumulation_steps: split each batch into this many parts and add up their gradients, which
            saves memory.
        compile: compile the network with torch.compile, which takes a minute and pays in long runs.
        cuda_graphs: compile the network, and let a GPU repeat the recorded operations of a step,
            which helps small networks, whose operations are shorter than the time to start them.
        deterministic: compute the same bits in each run on a GPU as well, which may be slower. On
            a CPU this is the case anyway, with the same number of threads. Refused if PyTorch has
            no such algorithm for an operation of the network.
        save_memory: recompute the concatenated feature maps of DenseNet in the backward pass
            instead of storing them; slower, but larger networks fit.
        num_workers: processes that read image files; images in memory need none. By default one for
            each CPU, or none where Python cannot fork (macOS, Windows).

    Returns:
        The record of the run: losses, accuracies and the trained network.

    Raises:
        ValueError: an argument is unknown or does not fit the others; the message says what to
            change.
        FloatingPointError: the loss is no longer finite.
        MemoryError: a batch does not fit into memory; the message names a size that does.
        KeyboardInterrupt: Ctrl-C stopped the run, after its checkpoint was saved.

    Example:
        >>> record = fit("lenet5", epochs=1, progress=False)
        >>> len(record.epochs), record.test_accuracy > 0.1
        (1, True)
    """
    num_workers = default_workers() if num_workers is None else num_workers
    check_options(
        net=net,
        recipe=recipe,
        device=device,
        output_dir=output_dir,
        resume=resume,
        compile=compile or cuda_graphs,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        accumulation_steps=accumulation_steps,
        num_workers=num_workers,
    )
    recipe_is_named = isinstance(recipe, str)
    recipe = resolve_recipe(recipe, epochs, batch_size)
    dataset = load(data) if isinstance(data, str) else data
    check_for_training(dataset, net)
    check_recipe(recipe, dataset, batch_size_is_default=recipe_is_named and batch_size is None)
    accelerator = make_accelerator(device, precision)
    if cuda_graphs:
        _check_cuda_graphs(accelerator, accumulation_steps)
    with fixed_seed(seed), DeferredInterrupt() as interrupt, algorithms(deterministic):
        if isinstance(net, str):
            net = _network_for(net, dataset, accelerator)
        if recipe_is_named:
            recipe = suited(recipe, net)
        if save_memory:
            recompute_features_(net)
        recipe = for_network(recipe, net)
        record = RunRecord(
            net, recipe, dataset.name, seed, str(accelerator.device), accelerator.mixed_precision
        )
        folder = None
        if output_dir is not None:
            settings = {"images": len(dataset.train), "accumulation_steps": accumulation_steps}
            settings |= record.settings()
            folder = RunFolder(Path(output_dir), settings, accelerator)
        trainer = Trainer(
            record,
            dataset,
            accelerator,
            folder,
            accumulation_steps,
            "reduce-overhead" if cuda_graphs else "default" if compile else None,
            num_workers,
        )
        with accelerator.autocast():
            images, _ = two_images(dataset.train, dataset, trainer.net, accelerator.device)
            check_determinism(trainer.learner, images)
            check_scores(trainer.net, dataset, (dataset.train, dataset.test), accelerator.device)
        trainer.load_checkpoint(resume)
        trainer.train(interrupt, progress)
        _, record.test_accuracy = trainer.evaluate(trainer.make_batches(dataset.test))
        trainer.finish()
    return record


def _network_for(name: str, dataset: AnyDataset, accelerator: Accelerator) -> nn.Module:
    """The network called `name`, built for the images and classes of `dataset`."""
    size = dataset.train.image_size
    is_small = size <= registry.SMALL_IMAGE
    net = create_model(
        name,
        num_classes=len(dataset.classes),
        in_channels=dataset.in_channels,
        small_input=is_small,
    )
    card = registry.card(name)
    if is_small and not card.is_small_image:
        accelerator.print(
            f"{name} was made for images of {card.input_size}x{card.input_size} pixels; for the "
            f"{size}x{size} pixels of {dataset.name}, its first strides are set to 1."
        )
    return net


def _check_cuda_graphs(accelerator: Accelerator, accumulation_steps: int) -> None:
    """Refuse what CUDA graphs cannot do.

    A graph writes its gradients to the same memory each time, so PyTorch cannot add up those of
    several parts of a batch (its issues 96693 and 169545).
    """
    if accelerator.device.type != "cuda":
        raise ValueError(
            f"CUDA graphs need a GPU, and this run computes on {accelerator.device}; omit "
            "cuda_graphs (--cuda-graphs)"
        )
    if accumulation_steps > 1:
        raise ValueError(
            "CUDA graphs cannot add up the gradients of several parts of a batch; choose "
            "accumulation_steps=1 (--accumulation-steps 1), or omit cuda_graphs (--cuda-graphs)"
        )


def recompute_features_(net: nn.Module) -> None:
    """Let each layer that can do so recompute its feature maps in the backward pass, in place.

    Raises:
        ValueError: `net` has no such layer.
    """
    layers = [layer for layer in net.modules() if isinstance(layer, DenseLayer)]
    if not layers:
        raise ValueError(
            f"{type(net).__name__} has no dense layers that could save memory; omit save_memory "
            "(--save-memory), or split each batch with accumulation_steps=… (--accumulation-steps)"
        )
    for layer in layers:
        layer.save_memory = True


def make_accelerator(device: torch.device | str | None, precision: str | None) -> Accelerator:
    """An accelerator for one run; it replaces one that the process made for another device.

    Of several processes, each takes the GPU of its own number, whichever is asked for.

    Raises:
        ValueError: there is no such device, or it does not support the precision.
    """
    target = resolve_device(device)
    if precision is None:
        precision = "bf16" if has_fast_bfloat16(target) else "no"
    if precision not in ("no", "bf16", "fp16") or (precision, target.type) == ("fp16", "cpu"):
        raise ValueError(
            f"precision {precision!r} is not available on {target.type}; choose no or bf16"
        )
    AcceleratorState._reset_state(reset_partial_state=True)
    chosen = {}
    if target.type != "cpu" and target.index is not None and "LOCAL_RANK" not in os.environ:
        chosen = {"ACCELERATE_TORCH_DEVICE": str(target)}
    with patch_environment(**chosen):
        return Accelerator(cpu=target.type == "cpu", mixed_precision=precision)
