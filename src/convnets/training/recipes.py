"""How to train: schedules as pure functions, recipes as data, and the PyTorch objects they name."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer, RMSprop
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel

from convnets.training.learning_rates import learning_rate_for

PLATEAU_PATIENCE = 5
"""Epochs without a better validation accuracy before the learning rate is divided by ten."""


@dataclass(frozen=True)
class Recipe:
    """How to train a network, independent of its architecture.

    Recipes for ImageNet keep their paper's numbers; on small data, fewer epochs and smaller batches
    are enough (`fit(…, epochs=…, batch_size=…)`).
    """

    epochs: int
    batch_size: int
    """Images in one step, over all processes."""
    learning_rate: float | None = None
    """`None` takes the rate of the network's family (`learning_rate_for`)."""
    momentum: float = 0.9
    weight_decay: float = 0.0
    """Factor of the L2 penalty."""
    label_smoothing: float = 0.0
    schedule: str = "constant"
    """A name in `SCHEDULES`, or "plateau": the learning rate is divided by ten when the validation
    accuracy no longer improves."""
    optimizer: str = "nesterov"
    """The optimizer: "sgd" with momentum, "nesterov" or "rmsprop"."""
    augmentation: tuple[str, ...] = ()
    """Names in `AUGMENTATIONS`, applied in this order to the training images."""
    clip_norm: float | None = None
    """Largest norm of all gradients taken together."""
    auxiliaries: bool = False
    """Train with auxiliary classifiers, which only a GoogLeNet has."""
    average: float | None = None
    """Decay of a running average of the weights, which validation and test then use."""
    source: str = ""
    """Where the numbers come from."""


Schedule = Callable[[float, int], float]
"""Progress from 0 to 1 and the number of epochs -> factor of the learning rate."""


def constant(progress: float, epochs: int) -> float:
    """The same learning rate from start to end."""
    return 1.0


def one_cycle(progress: float, epochs: int, warm_up: float = 0.25) -> float:
    """A linear rise to 1 during `warm_up`, then half a cosine down to 0 (after Smith, 2018)."""
    if progress < warm_up:
        return progress / warm_up
    return 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))


def multi_step(*milestones: tuple[float, float]) -> Schedule:
    """Multiply by a factor at each milestone: (progress, factor)."""

    def schedule(progress: float, epochs: int) -> float:
        return math.prod(factor for start, factor in milestones if progress >= start)

    return schedule


def step_decay(period: float, factor: float) -> Schedule:
    """Multiply by `factor` after every `period` epochs."""

    def schedule(progress: float, epochs: int) -> float:
        return factor ** math.floor(progress * epochs / period)

    return schedule


SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "one-cycle": one_cycle,
    "step": multi_step((0.5, 0.1), (0.75, 0.1)),
    "wide-resnet": multi_step((0.3, 0.2), (0.6, 0.2), (0.8, 0.2)),
    "4% every 8 epochs": step_decay(8, 0.96),
    "a tenth every 30 epochs": step_decay(30, 0.1),
    "2% every epoch": step_decay(1, 0.98),
    "3% every 2.4 epochs": step_decay(2.4, 0.97),
}

_RESNET = Recipe(
    epochs=120,
    batch_size=256,
    learning_rate=0.1,
    weight_decay=1e-4,
    schedule="plateau",
    optimizer="sgd",
    augmentation=("crop", "flip"),
    source="He et al. (2016), section 3.4",
)
RECIPES = {
    # What one would use today on small images; the learning rate depends on the network.
    "modern": Recipe(
        epochs=5,
        batch_size=128,
        weight_decay=5e-4,
        label_smoothing=0.05,
        schedule="one-cycle",
        augmentation=("flip",),
        source="Smith (2018), one cycle",
    ),
    # Gradient descent without extras, to compare architectures and activations on equal terms.
    "plain-sgd": Recipe(epochs=5, batch_size=128, learning_rate=0.05),
    "alexnet": Recipe(
        epochs=90,
        batch_size=128,
        learning_rate=0.01,
        weight_decay=5e-4,
        schedule="plateau",
        optimizer="sgd",
        augmentation=("crop", "flip", "pca-colour"),
        source="Krizhevsky et al. (2012), sections 4 and 5; lecture slide 8",
    ),
    "vgg": Recipe(
        epochs=74,
        batch_size=256,
        learning_rate=0.01,
        weight_decay=5e-4,
        schedule="plateau",
        optimizer="sgd",
        augmentation=("crop", "flip", "pca-colour"),
        source="Simonyan & Zisserman (2015), section 3.1",
    ),
    # The paper gives neither batch size, learning rate nor epochs; these are ours.
    "googlenet": Recipe(
        epochs=90,
        batch_size=256,
        learning_rate=0.01,
        schedule="4% every 8 epochs",
        optimizer="sgd",
        augmentation=("crop", "flip"),
        auxiliaries=True,
        average=0.999,
        source="Szegedy et al. (2015), section 6",
    ),
    "resnet": _RESNET,
    "resnet-slide": replace(_RESNET, weight_decay=1e-5, source="lecture slide 45"),
    "senet": Recipe(
        epochs=100,
        batch_size=1024,
        learning_rate=0.6,
        weight_decay=1e-4,
        schedule="a tenth every 30 epochs",
        optimizer="sgd",
        augmentation=("crop", "flip"),
        source="Hu et al. (2018), section 5",
    ),
    "wide-resnet": Recipe(
        epochs=200,
        batch_size=128,
        learning_rate=0.1,
        weight_decay=5e-4,
        schedule="wide-resnet",
        augmentation=("crop", "flip"),
        source="Zagoruyko & Komodakis (2016), section 3, CIFAR",
    ),
    "densenet": Recipe(
        epochs=300,
        batch_size=64,
        learning_rate=0.1,
        weight_decay=1e-4,
        schedule="step",
        augmentation=("crop", "flip"),
        source="Huang et al. (2017), section 4.2, CIFAR",
    ),
    # The paper names RMSprop and little weight decay; the numbers are those of MobileNetV2.
    "mobilenet": Recipe(
        epochs=300,
        batch_size=96,
        learning_rate=0.045,
        weight_decay=4e-5,
        schedule="2% every epoch",
        optimizer="rmsprop",
        augmentation=("crop", "flip"),
        source="Sandler et al. (2018), section 6.1",
    ),
    "efficientnet": Recipe(
        epochs=350,
        batch_size=4096,
        learning_rate=0.256,
        weight_decay=1e-5,
        label_smoothing=0.1,
        schedule="3% every 2.4 epochs",
        optimizer="rmsprop",
        augmentation=("crop", "flip"),
        average=0.9999,
        source="Tan & Le (2019), section 5.2, and the authors' code",
    ),
}


def resolve_recipe(
    recipe: Recipe | str, epochs: int | None = None, batch_size: int | None = None
) -> Recipe:
    """The recipe of this name, with another number of epochs or batch size if they are given.

    Its learning rate stays `None` if it depends on the network; see `for_network`.

    Raises:
        ValueError: the name is unknown, or epochs or batch size are below 1.
    """
    if isinstance(recipe, str):
        if recipe not in RECIPES:
            raise ValueError(f"unknown recipe {recipe!r}; choose one of {', '.join(RECIPES)}")
        recipe = RECIPES[recipe]
    recipe = replace(
        recipe,
        epochs=recipe.epochs if epochs is None else epochs,
        batch_size=recipe.batch_size if batch_size is None else batch_size,
    )
    if recipe.epochs < 1:
        raise ValueError(f"training needs at least one epoch, got {recipe.epochs}")
    if recipe.batch_size < 1:
        raise ValueError(f"a batch needs at least one image, got {recipe.batch_size}")
    return recipe


def for_network(recipe: Recipe, net: nn.Module) -> Recipe:
    """The recipe with the learning rate that suits `net`, if it has none of its own."""
    if recipe.learning_rate is not None:
        return recipe
    return replace(recipe, learning_rate=learning_rate_for(net))


def make_optimizer(net: nn.Module, recipe: Recipe) -> Optimizer:
    """The recipe's optimizer for all parameters of `net`.

    Raises:
        ValueError: the optimizer is unknown.
    """
    settings: dict[str, Any] = {
        "lr": for_network(recipe, net).learning_rate,
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
    """The recipe's learning rate over `steps` steps of the optimizer.

    Raises:
        ValueError: the schedule is unknown.
    """
    if recipe.schedule == "plateau":
        return ReduceLROnPlateau(optimizer, mode="max", patience=PLATEAU_PATIENCE)
    if recipe.schedule not in SCHEDULES:
        raise ValueError(
            f"unknown schedule {recipe.schedule!r}; choose plateau or one of {', '.join(SCHEDULES)}"
        )
    factor = SCHEDULES[recipe.schedule]
    return LambdaLR(optimizer, lambda step: factor(min(step / steps, 1), recipe.epochs))


class MovingAverage(AveragedModel):
    """A copy of a network whose weights and statistics are exponential moving averages.

    The decay grows with the number of steps up to `decay`, so that a short run does not keep its
    initial weights. TensorFlow's moving average, which EfficientNet was trained with, does the
    same. Unlike its base class, it counts the steps on the CPU, because reading the number from a
    GPU would make the program wait in every step.

    Args:
        net: the network; the average starts from its weights after the first step.
        decay: largest share of the old average, between 0 and 1.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        super().__init__(net, use_buffers=True)
        self.decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        steps = int(self.n_averaged)  # on the CPU
        share = 1 - min(self.decay, (1 + steps) / (10 + steps)) if steps else 1.0
        averages, currents = list(_state(self.module)), list(_state(model))
        torch._foreach_lerp_(_floats(averages), _floats(currents), share)
        for average, current in zip(averages, currents, strict=True):
            if not average.is_floating_point():
                average.copy_(current)
        self.n_averaged += 1


def _state(net: nn.Module) -> Iterator[Tensor]:
    return chain(net.parameters(), net.buffers())


def _floats(tensors: list[Tensor]) -> list[Tensor]:
    return [tensor for tensor in tensors if tensor.is_floating_point()]
