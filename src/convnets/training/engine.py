"""The training loop, short enough to read: `fit`, `train_one_epoch`, `evaluate`.

`accelerate` carries the device and the number format; everything else is visible here.
"""

import json
import math
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
)
from torchmetrics import MeanMetric
from tqdm.auto import tqdm

from convnets.layers import ImageClassifier
from convnets.models import build
from convnets.training.data import Dataset, Split, load
from convnets.training.device import default_device, has_fast_bfloat16
from convnets.training.recipes import RECIPES, SCHEDULES, Recipe

VALIDATION_SHARE = 0.1
EVALUATION_BATCH = 500

Batches = DataLoader[tuple[Tensor, ...]]


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training images gave."""

    number: int
    train_loss: float
    """Mean over the epoch, in nats."""
    validation_accuracy: float
    seconds: float


@dataclass
class History:
    """One training run. `net` is the trained network; accuracies are shares between 0 and 1."""

    net: nn.Module
    recipe: Recipe
    data: str
    seed: int
    device: str
    precision: str
    epochs: list[Epoch] = field(default_factory=list)
    step_losses: list[float] = field(default_factory=list)
    """Training loss of every step, in nats."""
    test_accuracy: float = math.nan
    """Measured once, after the last epoch."""

    def save(self, folder: Path | str) -> Path:
        """Write everything but the network to `folder/history.json`."""
        path = Path(folder) / "history.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        row = {key: value for key, value in vars(self).items() if key != "net"}
        row |= {"recipe": asdict(self.recipe), "epochs": [asdict(epoch) for epoch in self.epochs]}
        path.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
        return path


def fit(
    net: nn.Module | str,
    data: Dataset | str = "fashion-mnist-small",
    recipe: Recipe | str = "modern",
    epochs: int | None = None,
    seed: int = 0,
    out: Path | str | None = None,
    device: torch.device | str | None = None,
    progress: bool = True,
) -> History:
    """Train `net` and measure it once on the test images.

    A tenth of the training images, chosen by `seed`, is held out to validate after each epoch.
    Images smaller than the network takes are padded with black. On devices with fast bfloat16 the
    network runs in it (autocast).

    Args:
        net: a network of the course's contract, trained in place, or a registered name.
        data: a loaded data set or its name.
        recipe: a recipe or its name in `RECIPES`.
        epochs: passes over the training images; the recipe's own number if `None`.
        seed: of initialisation (for a name), order of the images and augmentation.
        out: folder for `history.json`; nothing is written if `None`.
        device: where to train; the GPU if there is one, else the CPU.
        progress: show a progress bar.

    Raises:
        ValueError: unknown name, fewer than one epoch, or images that do not fit the network.
        FloatingPointError: the loss is no longer a number.
    """
    recipe = _recipe(recipe, epochs)
    dataset = load(data) if isinstance(data, str) else data
    accelerator = _accelerator(device)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if isinstance(net, str):
            net = build(
                net,
                num_classes=len(dataset.classes),
                in_channels=dataset.in_channels,
                small_input=max(dataset.train.images.shape[-2:]) <= 32,
            )
        net.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        history = History(
            net, recipe, dataset.name, seed, str(accelerator.device), accelerator.mixed_precision
        )
        train, validation = split_off(dataset.train, VALIDATION_SHARE, seed)
        batches = _batches(train, dataset, net, accelerator.device, recipe.batch_size)
        held_out = _batches(validation, dataset, net, accelerator.device)
        optimizer = SGD(
            net.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.momentum > 0,
        )
        steps = len(batches) * recipe.epochs
        factor = SCHEDULES[recipe.schedule]
        schedule = LambdaLR(optimizer, lambda step: factor(step / steps))
        model = accelerator.prepare_model(net)
        with tqdm(total=steps, disable=not progress, unit="step", leave=False) as bar:
            for number in range(1, recipe.epochs + 1):
                start = time.perf_counter()
                losses = train_one_epoch(
                    model, batches, recipe, optimizer, schedule, accelerator, bar
                )
                accuracy = _accuracy(model, held_out)
                seconds = time.perf_counter() - start
                history.step_losses += losses
                history.epochs.append(Epoch(number, sum(losses) / len(losses), accuracy, seconds))
                bar.set_postfix(loss=f"{losses[-1]:.3f}", validation=f"{accuracy:.1%}")
                if not math.isfinite(losses[-1]):
                    raise FloatingPointError(
                        f"the loss is {losses[-1]} after epoch {number}; lower the learning rate "
                        f"of {recipe.learning_rate} or normalise the activations"
                    )
        history.test_accuracy = _accuracy(
            model, _batches(dataset.test, dataset, net, accelerator.device)
        )
        accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    if out is not None:
        history.save(out)
    return history


def train_one_epoch(
    model: nn.Module,
    batches: Batches,
    recipe: Recipe,
    optimizer: SGD,
    schedule: LambdaLR,
    accelerator: Accelerator,
    bar: tqdm,
) -> list[float]:
    """One pass over the training images; the loss of each step."""
    model.train()
    losses = []
    for images, labels in batches:
        if recipe.flip:
            images = flip_half(images)
        loss = cross_entropy(model(images), labels, label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad()
        accelerator.backward(loss)
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
        bar.update()
    values: list[float] = torch.stack(losses).float().tolist()
    return values


def evaluate(
    net: nn.Module,
    data: Dataset | str = "fashion-mnist-small",
    device: torch.device | str | None = None,
) -> float:
    """Share of the test images, between 0 and 1, that `net` classifies right.

    Args:
        net: a network of the course's contract; its mode is left as it is.
        data: a loaded data set or its name.
        device: where to compute; the GPU if there is one, else the CPU.
    """
    dataset = load(data) if isinstance(data, str) else data
    target = torch.device(device) if device is not None else default_device()
    return _accuracy(net.to(target), _batches(dataset.test, dataset, net, target))


def flip_half(images: Tensor) -> Tensor:
    """Mirror each image of (N, C, H, W) left to right with probability one half."""
    mirror = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
    return torch.where(mirror, images.flip(-1), images)


def split_off(split: Split, share: float, seed: int) -> tuple[Split, Split]:
    """Two parts of a split, the second with `share` of the images, chosen by `seed`."""
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))
    size = round(share * len(split))
    first, second = order[size:], order[:size]
    return (
        Split(split.images[first], split.labels[first]),
        Split(split.images[second], split.labels[second]),
    )


def _recipe(recipe: Recipe | str, epochs: int | None) -> Recipe:
    if isinstance(recipe, str):
        if recipe not in RECIPES:
            raise ValueError(f"unknown recipe {recipe!r}; choose one of {', '.join(RECIPES)}")
        recipe = RECIPES[recipe]
    if epochs is not None:
        recipe = replace(recipe, epochs=epochs)
    if recipe.epochs < 1:
        raise ValueError(f"training needs at least one epoch, got {recipe.epochs}")
    return recipe


def _accelerator(device: torch.device | str | None) -> Accelerator:
    """An accelerator for this run; the process may have made one for another device before."""
    target = torch.device(device) if device is not None else default_device()
    AcceleratorState._reset_state(reset_partial_state=True)
    precision = "bf16" if has_fast_bfloat16(target) else "no"
    return Accelerator(cpu=target.type == "cpu", mixed_precision=precision)


def _batches(
    split: Split,
    dataset: Dataset,
    net: nn.Module,
    device: torch.device,
    train_batch: int | None = None,
) -> Batches:
    """Batches of normalised images on `device`, shuffled if `train_batch` gives their size."""
    images = split.images.to(device).float().div(255).sub(dataset.mean).div(dataset.std)
    black = -dataset.mean / dataset.std
    smallest = net.smallest_input if isinstance(net, ImageClassifier) else 1
    missing = max(0, smallest - min(images.shape[-2:]))
    before, after = missing // 2, missing - missing // 2
    images = pad(images, (before, after, before, after), value=black)
    tensors = TensorDataset(
        images.contiguous(memory_format=torch.channels_last), split.labels.to(device)
    )
    order = SequentialSampler(tensors) if train_batch is None else RandomSampler(tensors)
    size = train_batch or EVALUATION_BATCH
    sampler = BatchSampler(order, size, drop_last=train_batch is not None and len(split) >= size)
    return DataLoader(tensors, sampler=sampler, batch_size=None)


@torch.no_grad()
def _accuracy(model: nn.Module, batches: Batches) -> float:
    was_training = model.training
    model.eval()
    correct = MeanMetric()
    for images, labels in batches:
        correct.update((model(images).argmax(dim=1) == labels).float().cpu())
    model.train(was_training)
    return correct.compute().item()
