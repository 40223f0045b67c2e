"""Training: our loop against a minimal PyTorch loop, and our networks against their peers.

`python -m benchmarks.training` writes `results/training.md`: the overhead of our loop, the time of
each part of a step, peak memory, the share of the device's peak rate, and the time to an accuracy.
"""

import statistics
import time
from pathlib import Path

import timm
import torch
import torchvision.models
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD
from torch.optim.lr_scheduler import OneCycleLR

import convnets
from benchmarks import measure
from convnets.analysis import trace
from convnets.models.resnet import BasicBlock, ResNet
from convnets.training import RECIPES, Dataset, RunRecord, evaluate, fit, load
from convnets.training.augmentation import random_flip
from convnets.training.engine import make_accelerator
from convnets.training.trainer import Trainer

STEPS = 4
"""Steps in a round."""
ROUNDS = 15
BATCH = RECIPES["modern"].batch_size
SIDE = 64
"""Height and width in pixels of the images for the networks that have peers."""
PEERS = {
    "resnet18": (torchvision.models.resnet18, "resnet18"),
    "densenet121": (torchvision.models.densenet121, "densenet121"),
    "mobilenet_v2": (torchvision.models.mobilenet_v2, "mobilenetv2_100"),
}
OWN = ("resnet20", "shufflenet_v2_x0_5")
EPOCHS = 4
"""On the full Fashion-MNIST; `small_resnet` takes about a minute on one core."""
RESULTS = Path(__file__).with_name("results") / "training.md"


def trainer_steps(net: nn.Module) -> measure.Work:
    """Steps as `fit` takes them, with the modern recipe, in float32."""
    accelerator = make_accelerator("cpu", "no")
    dataset = load()
    record = RunRecord(net, RECIPES["modern"], dataset.name, 0, "cpu", "no")
    trainer = Trainer(record, dataset, accelerator)
    number = 0

    def work() -> None:
        nonlocal number
        number += 1
        trainer.model.train()
        batches = trainer.train_batches.epoch(number)
        for _, (images, labels) in zip(range(STEPS), batches, strict=False):
            trainer.train_step(images, labels)
        trainer.sync_metrics()

    return work


def minimal_steps(net: nn.Module) -> measure.Work:
    """The same steps, written as in a tutorial."""
    dataset, recipe = load(), RECIPES["modern"]
    net.to(memory_format=torch.channels_last).train()
    images = dataset.train.images.float().div(255).sub(dataset.mean).div(dataset.std)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = dataset.train.labels
    optimizer = SGD(
        net.parameters(), recipe.learning_rate, recipe.momentum, 0, recipe.weight_decay, True
    )
    steps = recipe.epochs * (len(labels) // BATCH)
    schedule = OneCycleLR(optimizer, recipe.learning_rate, total_steps=steps)
    generator = torch.Generator().manual_seed(0)

    def work() -> None:
        order = torch.randperm(len(labels))
        for some in order.split(BATCH)[:STEPS]:
            batch = random_flip(images[some], generator)
            loss = cross_entropy(net(batch), labels[some], label_smoothing=recipe.label_smoothing)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        loss.item()

    return work


def parts_of_a_step(net: nn.Module, batch: int = 16, rounds: int = 7) -> dict[str, float]:
    """Median seconds of the four parts of a step, on images of `SIDE` pixels."""
    pool, labels = torch.randint(256, (512, 3, SIDE, SIDE), dtype=torch.uint8), torch.arange(batch)
    optimizer = SGD(net.train().parameters(), lr=0.01, momentum=0.9)
    times: dict[str, list[float]] = {"data": [], "forward": [], "backward": [], "optimizer": []}
    for _ in range(rounds + 1):
        marks = [time.process_time()]
        images = random_flip(
            pool[torch.randperm(512)[:batch]].float() / 255, torch.default_generator
        )
        marks.append(time.process_time())
        loss = cross_entropy(net(images), labels)
        marks.append(time.process_time())
        loss.backward()
        marks.append(time.process_time())
        optimizer.step()
        optimizer.zero_grad()
        marks.append(time.process_time())
        for part, start, end in zip(times, marks, marks[1:], strict=False):
            times[part].append(end - start)
    return {part: statistics.median(seconds[1:]) for part, seconds in times.items()}


def peak_rate(side: int = 1024, rounds: int = 9) -> float:
    """Multiply-accumulates per second of a large matrix product: the device's peak."""
    a, b = torch.randn(side, side), torch.randn(side, side)
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        a @ b
        seconds.append(time.process_time() - start)
    return side**3 / min(seconds)


def untrained(name: str) -> nn.Module:
    """The network with the same weights each time, since the speed of a step depends on them."""
    torch.manual_seed(0)
    return convnets.create_model(name, 10, 1, small_input=True)


def overhead_lines() -> list[str]:
    """A table of our loop's speed and of its time by that of a minimal loop."""
    lines = ["| network | images/s | our time / minimal |", "| --- | ---: | ---: |"]
    for name in OWN:
        works = {
            "ours": trainer_steps(untrained(name)),
            "minimal": minimal_steps(untrained(name)),
        }
        seconds = measure.interleaved(works, ROUNDS)
        rate = STEPS * BATCH / statistics.median(seconds["ours"])
        ratio = measure.ratio(seconds["ours"], seconds["minimal"])
        lines.append(f"| {name} | {rate:.0f} | {ratio:.3f} |")
    return lines


def peer_lines() -> list[str]:
    """A table of the parts of a step, for our networks and their peers."""
    head = "| network | data, ms | forward | backward | optimizer | MiB | share of peak |"
    lines = [head, "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    best = peak_rate()
    images, labels = torch.randn(16, 3, SIDE, SIDE), torch.arange(16)
    for name, (theirs, timms) in PEERS.items():
        nets = {
            name: convnets.create_model(name),
            f"torchvision's {name}": theirs(),
            f"timm's {name}": timm.create_model(timms),
        }
        macs = trace(nets[name], SIDE).macs * 16
        for label, net in nets.items():
            part = parts_of_a_step(net)
            memory = measure.peak_bytes(lambda: cross_entropy(net(images), labels).backward())  # noqa: B023
            share = 3 * macs / (part["forward"] + part["backward"]) / best
            times = " | ".join(f"{1e3 * seconds:.1f}" for seconds in part.values())
            lines.append(f"| {label} | {times} | {memory / 2**20:.0f} | {share:.0%} |")
    return lines


def small_resnet() -> nn.Module:
    """One basic block in each stage, 16 to 64 channels, after a stem with stride 2."""

    def stem(in_channels: int, width: int) -> nn.Module:
        conv = nn.Conv2d(in_channels, width, 3, stride=2, padding=1, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True))

    torch.manual_seed(0)
    return ResNet(BasicBlock, (1, 1, 1), (16, 16, 32, 64), stem, 10, 1)


def train_with_fit(net: nn.Module, dataset: Dataset) -> None:
    """Our loop with the modern recipe, in bfloat16."""
    fit(net, dataset, epochs=EPOCHS, precision="bf16", progress=False)


def train_with_a_minimal_loop(net: nn.Module, dataset: Dataset) -> None:
    """A loop of ten minutes' work: all training images, one cycle, bfloat16, nothing else."""
    images = dataset.train.images.float().div(255).sub(dataset.mean).div(dataset.std)
    labels = dataset.train.labels
    net.to(memory_format=torch.channels_last).train()
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    steps = EPOCHS * (len(labels) // BATCH)
    schedule = OneCycleLR(optimizer, max_lr=0.1, total_steps=steps)
    generator = torch.Generator().manual_seed(0)
    for _ in range(EPOCHS):
        order = torch.randperm(len(labels), generator=generator)
        for some in order.split(BATCH)[: steps // EPOCHS]:
            batch = images[some].contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                loss = cross_entropy(net(batch), labels[some])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()


def accuracy_lines() -> list[str]:
    """A small ResNet on the full Fashion-MNIST; on the course's subset where that is missing."""
    lines = [
        "| training | data | epochs | seconds | test accuracy |",
        "| --- | --- | --: | --: | --: |",
    ]
    try:
        dataset = load("fashion-mnist")
    except FileNotFoundError:
        dataset = load("fashion-mnist-small")
    ways = {"`fit`, modern recipe": train_with_fit, "minimal one-cycle": train_with_a_minimal_loop}
    for way, train in ways.items():
        net = small_resnet()
        start = time.process_time()
        train(net, dataset)
        seconds = time.process_time() - start
        share = evaluate(net, dataset)
        lines.append(f"| {way} | {dataset.name} | {EPOCHS} | {seconds:.0f} | {share:.1%} |")
    return lines


def main() -> None:
    """Measure, write `results/training.md`, and print it."""
    torch.manual_seed(0)
    with measure.threads(1):
        text = [
            "# Training\n",
            f"{measure.machine()}; one thread, CPU time.\n",
            f"## Our loop and a minimal one, batches of {BATCH}, float32\n",
            *overhead_lines(),
            f"\n## The parts of a step of 16 images of {SIDE}x{SIDE}, in the same minimal loop\n",
            *peer_lines(),
            "\n## Time to an accuracy: a small ResNet, bfloat16\n",
            *accuracy_lines(),
        ]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(text) + "\n", encoding="utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    main()
