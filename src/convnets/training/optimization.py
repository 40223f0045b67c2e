"""What a recipe says about a step, as PyTorch's objects."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer, RMSprop
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel

from convnets.training.recipes import SCHEDULES, Recipe

PLATEAU_PATIENCE = 5
"""Epochs without a better validation before the learning rate is divided by ten."""


def make_optimizer(net: nn.Module, recipe: Recipe) -> Optimizer:
    """The recipe's optimizer for all parameters of `net`.

    Raises:
        ValueError: unknown optimizer.
    """
    settings: dict[str, Any] = {
        "lr": recipe.learning_rate,
        "momentum": recipe.momentum,
        "weight_decay": recipe.weight_decay,
    }
    if recipe.optimizer == "rmsprop":  # the constants of MobileNet's and EfficientNet's authors
        return RMSprop(net.parameters(), alpha=0.9, eps=1e-3, **settings)
    if recipe.optimizer not in ("sgd", "nesterov"):
        raise ValueError(f"unknown optimizer {recipe.optimizer!r}; choose sgd, nesterov or rmsprop")
    nesterov = recipe.optimizer == "nesterov" and recipe.momentum > 0
    return SGD(net.parameters(), nesterov=nesterov, **settings)


def make_schedule(optimizer: Optimizer, recipe: Recipe, steps: int) -> LambdaLR | ReduceLROnPlateau:
    """The recipe's learning rate over `steps` steps.

    Raises:
        ValueError: unknown schedule.
    """
    if recipe.schedule == "plateau":
        return ReduceLROnPlateau(optimizer, mode="max", patience=PLATEAU_PATIENCE)
    if recipe.schedule not in SCHEDULES:
        raise ValueError(
            f"unknown schedule {recipe.schedule!r}; choose plateau or one of {', '.join(SCHEDULES)}"
        )
    factor = SCHEDULES[recipe.schedule]
    return LambdaLR(optimizer, lambda step: factor(min(step / steps, 1), recipe.epochs))


def averaged(net: nn.Module, decay: float) -> AveragedModel:
    """A copy of `net` whose weights and statistics are running averages.

    The decay grows with the number of steps up to `decay`, so that a short run does not keep the
    weights that it began with (as TensorFlow's moving average, with which EfficientNet was made).
    """

    def move(averages: Any, currents: Any, steps: Tensor | int) -> None:
        share = 1 - min(decay, (1 + int(steps)) / (10 + int(steps)))
        for average, current in zip(averages, currents, strict=True):
            if average.is_floating_point():
                average.lerp_(current.to(average.dtype), share)
            else:
                average.copy_(current)

    return AveragedModel(net, multi_avg_fn=torch.no_grad()(move), use_buffers=True)
