"""Training in our loop and in a bare one, on any device: what `benchmarks.gpu` measures.

As a program under `torchrun`, it prints the images per second of all processes together.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory

import timm
import torch
import torchvision.models
from accelerate import PartialState
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate
from torch.optim import SGD
from torchvision.io import write_jpeg

import convnets
from convnets.analysis import trace
from convnets.training import Recipe, RunRecord, load_folder
from convnets.training.augmentation import random_flip
from convnets.training.data import AnyDataset, Dataset, Split
from convnets.training.device import algorithms, cpus_of_this_process
from convnets.training.engine import make_accelerator
from convnets.training.trainer import Trainer

Peers = tuple[Callable[[], nn.Module], str]
"""Torchvision's builder and timm's name of a network."""


@dataclass(frozen=True)
class Setting:
    """What is trained, and for how long."""

    networks: dict[str, Peers | None]
    """Our names, and the networks of other packages with the same layers."""
    batch: int
    side: int
    """Height and width of the images, in pixels."""
    images: int = 2048
    classes: int = 1000
    steps: int = 20
    """In a round."""
    rounds: int = 5
    precision: str = "bf16"
    matrix: int = 8192
    """Side of the matrices whose product shows the peak of the device."""


PHOTOGRAPHS = Setting({"resnet50": (torchvision.models.resnet50, "resnet50")}, 256, 224)
SMALL = Setting(
    {
        "resnet18": (torchvision.models.resnet18, "resnet18"),
        "densenet121": (torchvision.models.densenet121, "densenet121"),
        "mobilenet_v2": (torchvision.models.mobilenet_v2, "mobilenetv2_100"),
        "efficientnet_b0": (torchvision.models.efficientnet_b0, "efficientnet_b0"),
        "resnet20": None,
        "shufflenet_v2_x0_5": (torchvision.models.shufflenet_v2_x0_5, ""),
    },
    *(512, 64, 8192),
)


def synthetic(setting: Setting) -> Dataset:
    """Random images (images, 3, side, side) with random labels."""
    numbers = torch.Generator().manual_seed(0)
    shape = (setting.images, 3, setting.side, setting.side)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=numbers)
    labels = torch.randint(setting.classes, (setting.images,), generator=numbers)
    names = tuple(map(str, range(setting.classes)))
    split = Split(images, labels)
    return Dataset("synthetic", split, Split(images[:10], labels[:10]), names, "random numbers")


def photographs(setting: Setting, root: Path) -> AnyDataset:
    """A folder of smooth random JPEG files of 500x375 pixels, in two classes."""
    numbers = torch.Generator().manual_seed(0)
    for number in range(setting.images):
        coarse = torch.rand(1, 3, 24, 32, generator=numbers)
        image = interpolate(coarse, (375, 500), mode="bicubic").clamp(0, 1).mul(255).byte()[0]
        for part in ("train", "val") if number < 2 else ("train",):
            path = root / part / f"class{number % 2}" / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_jpeg(image, str(path), quality=90)
    return load_folder(root, image_size=setting.side)


def make_trainer(
    net: nn.Module,
    dataset: AnyDataset,
    setting: Setting,
    device: torch.device | None,
    compile_mode: str | None = None,
) -> Trainer:
    """The trainer that `fit` uses; the batch is for each process."""
    accelerator = make_accelerator(device, setting.precision)
    batch = setting.batch * accelerator.num_processes
    recipe = Recipe(1, batch, 0.1, weight_decay=1e-4, optimizer="sgd", augmentation=("flip",))
    place = str(accelerator.device)
    record = RunRecord(net, recipe, dataset.name, 0, place, setting.precision)
    workers = cpus_of_this_process()
    trainer = Trainer(record, dataset, accelerator, None, 1, compile_mode, workers)
    trainer.model.train()
    return trainer


def endless(trainer: Trainer) -> Iterator[tuple[Tensor, Tensor]]:
    """The training batches of one epoch after the other."""
    rank, processes = trainer.accelerator.process_index, trainer.accelerator.num_processes
    epochs = (trainer.train_batches.epoch(n, 0, rank, processes) for n in count(1))
    return chain.from_iterable(epochs)


def our_loop(trainer: Trainer, steps: int) -> Callable[[], None]:
    """Steps as `fit` takes them, and the reading of their losses."""
    batches = endless(trainer)

    def work() -> None:
        for _ in range(steps):
            trainer.train_step(*next(batches))
        trainer.sync_metrics()

    return work


def bare_loop(
    net: nn.Module, dataset: Dataset, setting: Setting, device: torch.device
) -> Callable[[], None]:
    """The same steps, written as in a tutorial, for images in the memory of the device."""
    net = net.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = SGD(net.parameters(), 0.1, 0.9, weight_decay=1e-4)
    mean, std = dataset.mean.to(device), dataset.std.to(device)
    images = dataset.train.images.to(device).float().div(255).sub(mean).div(std)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = dataset.train.labels.to(device)
    numbers = torch.Generator(device).manual_seed(0)
    half = setting.precision == "bf16"

    def work() -> None:
        for _ in range(setting.steps):
            some = torch.randint(len(labels), (setting.batch,), device=device, generator=numbers)
            batch = random_flip(images[some], numbers)
            with torch.autocast(device.type, torch.bfloat16) if half else nullcontext():
                loss = cross_entropy(net(batch), labels[some])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        loss.item()

    return work


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Wall-clock seconds until the device has done the work."""
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def peak_rate(setting: Setting, device: torch.device) -> float:
    """Multiply-accumulates per second of a product of two large matrices."""
    number = torch.bfloat16 if setting.precision == "bf16" else torch.float32
    side = setting.matrix
    a, b = (torch.randn(side, side, device=device, dtype=number) for _ in range(2))
    return side**3 / min(seconds_of(lambda: a @ b, device) for _ in range(10))


def peak_mebibytes(work: Callable[[], object], device: torch.device) -> float | None:
    """The most memory that tensors hold on a GPU during `work`; unknown elsewhere."""
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats(device)
    work()
    return torch.cuda.max_memory_allocated(device) / 2**20


def networks(name: str, setting: Setting, variants: bool) -> Iterator[tuple[str, str | None, str]]:
    """Label, compile mode and origin of each row for one of our networks."""
    peers = setting.networks[name]
    yield name, None, "ours"
    if variants:
        yield f"{name}, compiled", "default", "ours"
        yield f"{name}, CUDA graphs", "reduce-overhead", "ours"
    if peers is not None:
        yield f"torchvision's {name}", None, "torchvision"
        if peers[1]:
            yield f"timm's {name}", None, "timm"


def build(name: str, origin: str, setting: Setting) -> nn.Module:
    """The network of ours, torchvision's or timm's, with the same seed."""
    torch.manual_seed(0)
    peers = setting.networks[name]
    if origin == "ours" or peers is None:
        return convnets.create_model(name, setting.classes, 3)
    if origin == "torchvision":
        return peers[0](num_classes=setting.classes)
    return timm.create_model(peers[1], num_classes=setting.classes)


def speed_lines(setting: Setting, device: torch.device, variants: bool = False) -> list[str]:
    """A table of images/s, share of the peak, overhead and memory on synthetic images."""
    lines = [
        f"Batches of {setting.batch}, {setting.precision}, {setting.rounds} rounds of "
        f"{setting.steps} steps.\n",
        "| network | images/s | share of peak | overhead | MiB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    dataset, peak = synthetic(setting), peak_rate(setting, device)
    for name in setting.networks:
        macs = trace(convnets.create_model(name, setting.classes, 3), setting.side).macs
        for label, mode, origin in networks(name, setting, variants):
            rate, overhead, memory = measured(name, origin, mode, dataset, setting, device)
            share = 3 * macs * rate / peak
            cells = f"{rate:.0f} | {share:.0%} | {overhead:+.1%} | {memory or 0:.0f}"
            lines.append(f"| {label} | {cells} |")
    return lines


def measured(
    name: str,
    origin: str,
    mode: str | None,
    dataset: Dataset,
    setting: Setting,
    device: torch.device,
) -> tuple[float, float, float | None]:
    """Images/s in our loop, its overhead over a bare one, and the peak of memory in MiB.

    A compiled network is compared with the same bare loop without compilation.
    """
    trainer = make_trainer(build(name, origin, setting), dataset, setting, device, mode)
    ours = our_loop(trainer, setting.steps)
    bare = bare_loop(build(name, origin, setting), dataset, setting, device)
    times: dict[str, list[float]] = {"ours": [], "bare": []}
    with algorithms(deterministic=False):
        for work in (ours, bare):
            work()
        memory = peak_mebibytes(ours, device)
        for number in range(setting.rounds):
            for way in ("ours", "bare") if number % 2 else ("bare", "ours"):
                times[way].append(seconds_of(ours if way == "ours" else bare, device))
    rate = setting.steps * setting.batch / statistics.median(times["ours"])
    ratios = (our / other for our, other in zip(times["ours"], times["bare"], strict=True))
    return rate, statistics.median(ratios) - 1, memory


def loading_lines(setting: Setting, device: torch.device) -> list[str]:
    """How fast files are read, and how fast they are read and trained on."""
    lines = ["| work | images/s |", "| --- | ---: |"]
    with TemporaryDirectory() as folder, algorithms(deterministic=False):
        dataset = photographs(setting, Path(folder))
        for name in setting.networks:
            trainer = make_trainer(build(name, "ours", setting), dataset, setting, device)
            batches = trainer.train_batches
            images = len(batches) * setting.batch
            for _ in range(2):  # the first epoch warms up
                reading = seconds_of(lambda: list(map(len, batches.epoch(1))), device)  # noqa: B023
                training = seconds_of(our_loop(trainer, len(batches)), device)
            workers = batches.num_workers
            lines.append(f"| reading with {workers} processes | {images / reading:.0f} |")
            lines.append(f"| reading and training {name} | {images / training:.0f} |")
    return lines


def images_per_second(setting: Setting, device: torch.device | None = None) -> float:
    """Of all processes together, for the first network of the setting."""
    name = next(iter(setting.networks))
    trainer = make_trainer(build(name, "ours", setting), synthetic(setting), setting, device)
    work, device = our_loop(trainer, setting.steps), trainer.accelerator.device
    with algorithms(deterministic=False):
        work()
        seconds = statistics.median(seconds_of(work, device) for _ in range(setting.rounds))
    return setting.steps * trainer.recipe.batch_size / seconds


if __name__ == "__main__":
    rate = images_per_second(PHOTOGRAPHS)
    if PartialState().is_main_process:
        print(rate)
