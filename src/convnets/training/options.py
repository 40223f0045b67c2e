"""Whether the arguments of a run can be honoured, so that it is refused before its first step."""

import math
import os
import shutil
import sys
import warnings
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_leaves

from convnets.models.googlenet import GoogLeNet
from convnets.training.data import VALIDATION_SHARE, AnyDataset
from convnets.training.device import resolve_device
from convnets.training.recipes import Recipe
from convnets.training.run_folder import holds_run

SEEDS = (-(2**23), 2**24 - 1)
"""Smallest and largest seed for which every step of a run has a seed of 64 bits."""
LIMITS = (
    ("learning_rate", 0, sys.float_info.max),
    ("momentum", 0, sys.float_info.max),
    ("weight_decay", 0, sys.float_info.max),
    ("label_smoothing", 0, 1),
    ("average", 0, 1),
)
"""Smallest and largest value of the numbers in a recipe."""


def check_options(
    *,
    net: nn.Module | str,
    recipe: Recipe | str,
    epochs: int | None,
    batch_size: int | None,
    seed: int,
    accumulation_steps: int,
    num_workers: int,
    output_dir: Path | str | None,
    resume: bool,
    compile: bool,
    device: torch.device | str | None,
) -> None:
    """Check the arguments of `fit` that need neither network nor data to be judged.

    Raises:
        ValueError: one of them cannot be honoured; the message says what to change.
    """
    for name, value in {"epochs": epochs, "batch_size": batch_size}.items():
        if value is not None:
            _check_whole(name, value, -math.inf)  # `resolve_recipe` checks that they are positive
    _check_whole("seed", seed, *SEEDS)
    _check_whole("accumulation_steps", accumulation_steps, 1)
    _check_whole("num_workers", num_workers, 0)
    if not isinstance(net, nn.Module | str):
        raise ValueError(
            f"net must be a network or a registered name, got {net!r}; a class needs to be called"
        )
    if not isinstance(recipe, Recipe | str):
        raise ValueError(f"recipe must be a Recipe or the name of one, got {recipe!r}")
    if isinstance(net, nn.Module) and not any(p.requires_grad for p in net.parameters()):
        raise ValueError(
            f"{type(net).__name__} has no parameter to train; set requires_grad of some to True"
        )
    if resume and output_dir is None:
        raise ValueError(
            "resume=True (--resume) needs the folder of the run that is to be continued; add "
            "output_dir=… (--output-dir)"
        )
    if resume and output_dir is not None and not holds_run(Path(output_dir)):
        raise ValueError(
            f"{output_dir} holds no run to continue; name the folder of the run, or omit "
            "resume=True (--resume) to start one there"
        )
    if compile and resolve_device(device).type == "cpu":
        _check_compiler()


def check_recipe(recipe: Recipe, dataset: AnyDataset, batch_size_is_default: bool) -> None:
    """Check the numbers of a recipe, and that its batch is not larger than the data.

    Args:
        recipe: with the number of epochs and the batch size of the run.
        dataset: to train on.
        batch_size_is_default: nobody has chosen the size of the batch, which may then hold all
            images there are.

    Raises:
        ValueError: a number cannot be honoured; the message says what to change.
    """
    for name, least, most in LIMITS:
        value = getattr(recipe, name)
        if value is not None and not least <= value <= most:
            limits = f"between {least} and {most}" if most == 1 else f"at least {least}, and finite"
            raise ValueError(f"a recipe's {name} must be {limits}, got {value}")
    if recipe.clip_norm is not None and not recipe.clip_norm > 0:
        raise ValueError(f"a recipe's clip_norm must be above 0, got {recipe.clip_norm}")
    images = len(dataset.train) - round(VALIDATION_SHARE * len(dataset.train))
    if recipe.batch_size <= images:
        return
    if batch_size_is_default:
        warnings.warn(
            f"the recipe's batch of {recipe.batch_size} images is larger than the data: every step "
            f"takes all {images}",
            stacklevel=3,
        )
    else:
        raise ValueError(
            f"a batch of {recipe.batch_size} images is larger than the data: {images} are left to "
            f"train on after a tenth of {dataset.name} is held out for validation; choose "
            f"batch_size={images} (--batch-size) or less"
        )


def suited(recipe: Recipe, net: nn.Module) -> Recipe:
    """A recipe that was chosen by its name, without what `net` does not have; a warning says so."""
    if not recipe.auxiliaries or isinstance(net, GoogLeNet):
        return recipe
    warnings.warn(
        f"{type(net).__name__} is trained without the auxiliary classifiers of the recipe, which "
        "belong to GoogLeNet",
        stacklevel=3,
    )
    return replace(recipe, auxiliaries=False)


def check_determinism(learner: nn.Module, images: Tensor) -> None:
    """Check that every operation of a run has a deterministic algorithm, if these are asked for.

    PyTorch knows this only when it runs them. The network is left unchanged.

    Args:
        learner: the network, with auxiliary classifiers if they are trained.
        images: a batch (N, C, H, W) to try it with, on its device.

    Raises:
        ValueError: an operation has none; the message names it.
    """
    if not torch.are_deterministic_algorithms_enabled():
        return
    buffers = {name: buffer.clone() for name, buffer in learner.named_buffers()}
    weights = [weight for weight in learner.parameters() if weight.requires_grad]
    was_training = learner.training
    try:
        functional_call(learner.eval(), buffers, (images,))
        scores = functional_call(learner.train(), buffers, (images,))
        every = [each for each in tree_leaves(scores) if isinstance(each, Tensor)]
        torch.autograd.grad([each.sum() for each in every], weights, allow_unused=True)
    except RuntimeError as error:
        operation, found, _ = str(error).partition(" does not have a deterministic implementation")
        if not found:
            raise
        raise ValueError(
            "deterministic=True (--deterministic) cannot be honoured: PyTorch has no deterministic "
            f"algorithm on {images.device} for {operation}, which {type(learner).__name__} uses; "
            "omit it, or choose another network"
        ) from error
    finally:
        learner.train(was_training)


def _check_whole(name: str, value: Any, least: float, most: float = math.inf) -> None:
    if isinstance(value, Real) and value % 1 == 0 and least <= float(value) <= most:
        return
    limits = "" if math.isinf(least) else f" of at least {least}"
    limits += "" if math.isinf(most) else f" and at most {most}"
    option = "--" + name.replace("_", "-")
    raise ValueError(f"{name} ({option}) must be a whole number{limits}, got {value!r}")


def _check_compiler() -> None:
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if sys.platform != "win32" and shutil.which(compiler) is None:
        raise ValueError(
            f"compile=True (--compile) needs the C++ compiler {compiler}, which is not on this "
            "machine; install it, or omit the option"
        )
