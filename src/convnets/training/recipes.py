"""How to train: recipes as data, and learning-rate schedules as pure functions of the step."""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Stochastic gradient descent with momentum, and how its learning rate moves.

    `schedule` names a function in `SCHEDULES`; `weight_decay` is the L2 penalty's factor.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    schedule: str = "constant"
    flip: bool = False
    """Mirror half of the training images left to right."""


def constant(progress: float) -> float:
    """The same learning rate from start to end."""
    return 1.0


def one_cycle(progress: float, warm_up: float = 0.25) -> float:
    """Up in a line during `warm_up`, then down along half a cosine to zero (Smith, 2018)."""
    if progress < warm_up:
        return progress / warm_up
    return 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))


def step(progress: float) -> float:
    """Divided by ten after half of the training, and again after three quarters."""
    return 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else 0.01


# Factor on the learning rate, from progress 0 (first step) to 1 (behind the last).
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": constant,
    "one-cycle": one_cycle,
    "step": step,
}

RECIPES = {
    # What to use today for a small residual net on small images.
    "modern": Recipe(
        epochs=5,
        batch_size=128,
        learning_rate=0.2,
        weight_decay=5e-4,
        label_smoothing=0.05,
        schedule="one-cycle",
        flip=True,
    ),
    # Nothing but descent, to compare architectures and activations under equal conditions.
    "plain-sgd": Recipe(epochs=5, batch_size=128, learning_rate=0.05),
}
