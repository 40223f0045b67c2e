"""How to train: recipes as data, and learning-rate schedules as pure functions of the progress."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Recipe:
    """How a network is trained, whatever it is.

    Where a paper's recipe is for ImageNet, its numbers stand as they are; on small data fewer
    epochs and smaller batches do (`fit(…, epochs=…, batch_size=…)`).
    """

    epochs: int
    batch_size: int
    """Images that make one step, over all devices together."""
    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 0.0
    """Factor of the L2 penalty."""
    label_smoothing: float = 0.0
    schedule: str = "constant"
    """A name in `SCHEDULES`, or "plateau": divided by ten when validation no longer improves."""
    optimizer: str = "nesterov"
    """What moves the weights: "sgd" with momentum, "nesterov" or "rmsprop"."""
    augmentation: tuple[str, ...] = ()
    """Names in `AUGMENTATIONS`, applied in this order to the training images."""
    clip_norm: float | None = None
    """Largest norm of all gradients together."""
    auxiliaries: bool = False
    """Train a GoogLeNet with its auxiliary classifiers."""
    average: float | None = None
    """Decay of a running average of the weights, which is what validation and test see."""
    source: str = ""
    """Where the numbers are from."""


Schedule = Callable[[float, int], float]
"""Progress from 0 to 1 and the number of epochs -> factor on the learning rate."""


def constant(progress: float, epochs: int) -> float:
    """The same learning rate from start to end."""
    return 1.0


def one_cycle(progress: float, epochs: int, warm_up: float = 0.25) -> float:
    """Up in a line during `warm_up`, then down along half a cosine to zero (Smith, 2018)."""
    if progress < warm_up:
        return progress / warm_up
    return 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))


def steps(*drops: tuple[float, float]) -> Schedule:
    """Multiplied by a factor behind each share of the training."""

    def schedule(progress: float, epochs: int) -> float:
        return math.prod(factor for share, factor in drops if progress >= share)

    return schedule


def every(epochs_between: float, factor: float) -> Schedule:
    """Multiplied by `factor` whenever so many epochs have gone by."""

    def schedule(progress: float, epochs: int) -> float:
        return factor ** math.floor(progress * epochs / epochs_between)

    return schedule


SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "one-cycle": one_cycle,
    "step": steps((0.5, 0.1), (0.75, 0.1)),
    "wide-resnet": steps((0.3, 0.2), (0.6, 0.2), (0.8, 0.2)),
    "4% every 8 epochs": every(8, 0.96),
    "a tenth every 30 epochs": every(30, 0.1),
    "2% every epoch": every(1, 0.98),
    "3% every 2.4 epochs": every(2.4, 0.97),
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
    # What to use today for a small residual net on small images.
    "modern": Recipe(
        epochs=5,
        batch_size=128,
        learning_rate=0.2,
        weight_decay=5e-4,
        label_smoothing=0.05,
        schedule="one-cycle",
        augmentation=("flip",),
        source="Smith (2018), one cycle",
    ),
    # Nothing but descent, to compare architectures and activations under equal conditions.
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
    # The paper says RMSProp and little weight decay; the numbers are those of its second version.
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


def chosen(
    recipe: Recipe | str, epochs: int | None = None, batch_size: int | None = None
) -> Recipe:
    """The recipe of this name, with other epochs or another batch size if they are given.

    Raises:
        ValueError: unknown name, or nothing to train on.
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
