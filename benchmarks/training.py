"""Training: our engine against a bare PyTorch loop, and our networks against their peers in it.

`python -m benchmarks.training` writes `results/training.md`: the engine's overhead, how the time of
a step divides, peak memory, the share of the device's peak rate, and the time to an accuracy.
"""

from pathlib import Path

import torch
import torchvision.models
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD

from benchmarks import measure
from convnets.training import RECIPES, History, load
from convnets.training.augmentation import flip_half
from convnets.training.engine import make_accelerator
from convnets.training.run import Run

STEPS = 10
"""Steps in a round."""
ROUNDS = 9
BATCH = RECIPES["modern"].batch_size
RESULTS = Path(__file__).with_name("results") / "training.md"
SMALL = ("resnet20", "mobilenet_v2", "densenet_bc100_12")
LARGE = {"resnet18": (torchvision.models.resnet18, "resnet18")}


def engine(net: nn.Module) -> measure.Work:
    """Steps as `fit` takes them, with the modern recipe, in float32."""
    accelerator = make_accelerator("cpu", "no")
    dataset = load()
    history = History(net, RECIPES["modern"], dataset.name, 0, "cpu", "no")
    run = Run(history, dataset, accelerator)
    number = 0

    def work() -> None:
        nonlocal number
        number += 1
        run.model.train()
        for _, (images, labels) in zip(range(STEPS), run.batches.epoch(number), strict=False):
            run.step(images, labels)
        run.note()

    return work


def bare(net: nn.Module) -> measure.Work:
    """The same steps, written down as in a tutorial."""
    dataset, recipe = load(), RECIPES["modern"]
    net.to(memory_format=torch.channels_last).train()
    images = dataset.train.images.float().div(255).sub(dataset.mean).div(dataset.std)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = dataset.train.labels
    optimizer = SGD(
        net.parameters(), recipe.learning_rate, recipe.momentum, 0, recipe.weight_decay, True
    )
    generator = torch.Generator().manual_seed(0)

    def work() -> None:
        order = torch.randperm(len(labels))
        for some in order.split(BATCH)[:STEPS]:
            batch = flip_half(images[some], generator)
            loss = cross_entropy(net(batch), labels[some], label_smoothing=recipe.label_smoothing)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        loss.item()

    return work
