"""Training: our loop against a minimal PyTorch loop, and our networks against their peers.

`python -m benchmarks.training` writes `results/training.md`: the overhead of our loop, the time of
each part of a step, peak memory, the share of the device's peak rate, and the accuracies within a
time that `benchmarks.fast_training` has recorded.
"""

import statistics
import time
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import timm
import torch
import torchvision.models
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR

import convnets
from benchmarks import fast_training, measure
from convnets.analysis import trace
from convnets.training import RECIPES, RunRecord, load
from convnets.training.augmentation import random_flip
from convnets.training.engine import make_accelerator
from convnets.training.recipes import for_network, one_cycle
from convnets.training.trainer import SYNC_EVERY, Trainer

MOST_OVERHEAD = 1.015
"""Of our time by that of a minimal loop."""
BATCH = RECIPES["modern"].batch_size
SIDE = 64
"""Height and width in pixels of the images for the networks that have peers."""
PEERS = {
    "resnet18": (torchvision.models.resnet18, "resnet18"),
    "densenet121": (torchvision.models.densenet121, "densenet121"),
    "mobilenet_v2": (torchvision.models.mobilenet_v2, "mobilenetv2_100"),
}
OWN = ("resnet20", "shufflenet_v2_x0_5", "whitened_net")
"""Names of networks, and the small one of `benchmarks.fast_training`."""
RESULTS = Path(__file__).with_name("results") / "training.md"


def our_steps(net: nn.Module) -> Iterator[None]:
    """Steps as `fit` takes them, with the modern recipe, in float32."""
    accelerator = make_accelerator("cpu", "no")
    dataset = load()
    record = RunRecord(net, for_network(RECIPES["modern"], net), dataset.name, 0, "cpu", "no")
    trainer = Trainer(record, dataset, accelerator)
    trainer.model.train()
    for number in count(1):
        for images, labels in trainer.train_batches.epoch(number):
            trainer.train_step(images, labels)
            if len(trainer.step_metrics) >= SYNC_EVERY:
                trainer.sync_metrics()
            yield


def minimal_steps(net: nn.Module) -> Iterator[None]:
    """The same steps, written as in a tutorial."""
    dataset, recipe = load(), for_network(RECIPES["modern"], net)
    net.to(memory_format=torch.channels_last).train()
    images = dataset.train.images.float().div(255).sub(dataset.mean).div(dataset.std)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = dataset.train.labels
    optimizer = SGD(
        net.parameters(), recipe.learning_rate, recipe.momentum, 0, recipe.weight_decay, True
    )
    steps = recipe.epochs * (len(labels) // BATCH)
    schedule = LambdaLR(optimizer, lambda step: one_cycle(min(step / steps, 1), recipe.epochs))
    while True:
        for some in torch.randperm(len(labels)).split(BATCH)[: len(labels) // BATCH]:
            batch = random_flip(images[some], torch.default_generator)
            loss = cross_entropy(net(batch), labels[some], label_smoothing=recipe.label_smoothing)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            yield


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
    if name == "whitened_net":
        return fast_training.whitened_net(torch.randn(100, 1, 28, 28), (32, 64))
    return convnets.create_model(name, 10, 1, small_input=True)


def overhead_lines() -> list[str]:
    """A table of our loop's time by that of a minimal loop, sure to half a percent."""
    lines = [
        "| network | rounds | our time / minimal | interval of 95 % | at most 1.015 |",
        "| --- | ---: | ---: | --- | --- |",
    ]
    for name in OWN:
        ours, theirs = our_steps(untrained(name)), minimal_steps(untrained(name))
        works = {"ours": partial(next, ours), "minimal": partial(next, theirs)}
        ratios = measure.until_sure(works)
        median, (low, high) = statistics.median(ratios), measure.interval(ratios)
        verdict = "yes" if high <= MOST_OVERHEAD else "no" if low > MOST_OVERHEAD else "not sure"
        cells = (name, str(len(ratios)), f"{median:.3f}", f"{low:.3f} to {high:.3f}", verdict)
        lines.append(f"| {' | '.join(cells)} |")
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


def main() -> None:
    """Measure, write `results/training.md`, and print it."""
    torch.manual_seed(0)
    with measure.threads(1):
        machine = f"\nMeasured: {measure.machine()}.\n"
        text = [
            "# Training\n",
            "One thread, CPU time.\n",
            f"## Our loop and a minimal one, batches of {BATCH}, float32\n",
            "A round is a step of each, one after the other.\n",
            *overhead_lines(),
            machine,
            f"## The parts of a step of 16 images of {SIDE}x{SIDE}, in the same minimal loop\n",
            *peer_lines(),
            machine,
            "## Accuracy within a time: Fashion-MNIST, bfloat16\n",
            *fast_training.lines(),
        ]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(text) + "\n", encoding="utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    main()
