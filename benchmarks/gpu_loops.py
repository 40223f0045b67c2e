"""Training in our loop and in a bare one, on any device: what `benchmarks.gpu` measures.

As a program under `torchrun`, it prints the images per second of all processes together.
"""

import gc
import os
import statistics
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
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
from benchmarks.measure import ratio
from convnets.analysis import trace
from convnets.models.speed import has_fast_bfloat16
from convnets.training import Recipe, RunRecord, load_folder
from convnets.training.augmentation import random_flip
from convnets.training.data import VALIDATION_SHARE, AnyDataset, Dataset, Split
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
    """Halved for a network that does not fit into the memory of the device."""
    side: int
    """Height and width of the images, in pixels."""
    images: int
    """In memory, for each process."""
    batches_of_files: int = 64
    """Enough for all workers to read several."""
    classes: int = 1000
    steps: int = 20
    """In a round."""
    rounds: int = 5
    matrix: int = 8192
    """Side of the matrices whose product shows the peak of the device."""


PHOTOGRAPHS = Setting(
    {"resnet50": (torchvision.models.resnet50, "resnet50")}, batch=256, side=224, images=2048
)
SMALL = Setting(
    {
        "resnet18": (torchvision.models.resnet18, "resnet18"),
        "densenet121": (torchvision.models.densenet121, "densenet121"),
        "mobilenet_v2": (torchvision.models.mobilenet_v2, "mobilenetv2_100"),
        "efficientnet_b0": (torchvision.models.efficientnet_b0, "efficientnet_b0"),
        "resnet20": None,
        "shufflenet_v2_x0_5": (torchvision.models.shufflenet_v2_x0_5, ""),
    },
    batch=512,
    side=64,
    images=8192,
)
DIFFERENT_FILES = 256


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
    """A folder of smooth random JPEG files of 500x375 pixels, in two classes.

    The first ones appear again under other names, which takes less time than writing all.
    """
    numbers = torch.Generator().manual_seed(0)
    files = round(setting.batches_of_files * setting.batch / (1 - VALIDATION_SHARE)) + 1
    paths = [root / "train" / f"class{number % 2}" / f"{number}.jpg" for number in range(files)]
    paths += [root / "val" / f"class{number}" / f"{number}.jpg" for number in range(2)]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        if number >= DIFFERENT_FILES:
            path.hardlink_to(paths[number % DIFFERENT_FILES])
            continue
        coarse = torch.rand(1, 3, 24, 32, generator=numbers)
        image = interpolate(coarse, (375, 500), mode="bicubic").clamp(0, 1).mul(255).byte()[0]
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
    accelerator = make_accelerator(device, precision=None)
    batch = setting.batch * accelerator.num_processes
    recipe = Recipe(1, batch, 0.1, weight_decay=1e-4, optimizer="sgd", augmentation=("flip",))
    place, precision = str(accelerator.device), accelerator.mixed_precision
    record = RunRecord(net, recipe, dataset.name, 0, place, precision)
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
    half = has_fast_bfloat16(device)

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
    wait(device)
    start = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - start


def wait(device: torch.device) -> None:
    """Wait until the device has done all that was queued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_rate(setting: Setting, device: torch.device) -> float:
    """Multiply-accumulates per second of a product of two large matrices."""
    number = torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
    side = setting.matrix
    a, b = (torch.randn(side, side, device=device, dtype=number) for _ in range(2))
    return side**3 / min(seconds_of(lambda: a @ b, device) for _ in range(10))


def peak_bytes(work: Callable[[], object], device: torch.device) -> int:
    """The most memory that PyTorch takes of a GPU during `work`; 0 elsewhere.

    Reserved memory is counted, since that of CUDA graphs does not count as allocated.
    """
    if device.type != "cuda":
        return 0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    work()
    return torch.cuda.max_memory_reserved(device)


def clean(device: torch.device) -> None:
    """Give back the memory of earlier networks, their compiled code and their CUDA graphs."""
    torch.compiler.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def networks(
    name: str, setting: Setting, device: torch.device
) -> Iterator[tuple[str, str | None, str]]:
    """Label, compile mode and origin of each row for one of our networks."""
    peers = setting.networks[name]
    yield name, None, "ours"
    if device.type == "cuda":
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


def speed_lines(setting: Setting, device: torch.device) -> Iterator[str]:
    """A table of images/s, share of the peak, overhead and memory on synthetic images.

    Raises:
        RuntimeError: after the last row, if some networks could not be measured.
    """
    precision = "bfloat16" if has_fast_bfloat16(device) else "float32"
    yield f"{setting.rounds} rounds of {setting.steps} steps, {precision}.\n"
    yield "| network | batch | images/s | share of peak | overhead | MiB |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    dataset, peak, failed = synthetic(setting), peak_rate(setting, device), []
    for name in setting.networks:
        macs = trace(convnets.create_model(name, setting.classes, 3), setting.side).macs
        for label, mode, origin in networks(name, setting, device):
            make = partial(build, name, origin, setting)
            try:
                speed = measured(make, dataset, setting, device, mode)
            except Exception:
                traceback.print_exc()
                failed.append(label)
                continue
            share = 3 * macs * speed.rate / peak
            cells = f"{speed.batch} | {speed.rate:.0f} | {share:.0%} | {speed.overhead:+.1%}"
            yield f"| {label} | {cells} | {speed.memory / 2**20:.0f} |"
    if failed:
        raise RuntimeError(f"could not be measured: {', '.join(failed)}")


@dataclass(frozen=True)
class Speed:
    """How fast a network trains in our loop."""

    batch: int
    rate: float
    """Images per second."""
    overhead: float
    """Time by that of a bare loop, minus one."""
    memory: int
    """Bytes of a GPU, without the images; 0 elsewhere."""


def measured(
    make: Callable[[], nn.Module],
    dataset: Dataset,
    setting: Setting,
    device: torch.device,
    mode: str | None,
) -> Speed:
    """Train the networks that `make` returns in our loop, compiled in this mode, and in a bare one.

    The batch is halved until it fits into the memory of the device.
    """
    while True:
        clean(device)
        try:
            return measured_once(make, dataset, setting, device, mode)
        except (MemoryError, torch.OutOfMemoryError):
            if setting.batch == 1:
                raise
            setting = replace(setting, batch=setting.batch // 2)


def measured_once(
    make: Callable[[], nn.Module],
    dataset: Dataset,
    setting: Setting,
    device: torch.device,
    mode: str | None,
) -> Speed:
    """As `measured`, with the batch of the setting."""
    trainer = make_trainer(make(), dataset, setting, device, mode)
    ours = our_loop(trainer, setting.steps)
    with algorithms(deterministic=False):
        ours()  # compiles, and lets cuDNN choose its algorithms
        memory = peak_bytes(ours, device) - images_in_memory(trainer)
        bare = bare_loop(make(), dataset, setting, device)
        bare()
        times: dict[Callable[[], None], list[float]] = {ours: [], bare: []}
        for number in range(setting.rounds):
            for work in (ours, bare) if number % 2 else (bare, ours):
                times[work].append(seconds_of(work, device))
    rate = setting.steps * setting.batch / statistics.median(times[ours])
    return Speed(setting.batch, rate, ratio(times[ours], times[bare]) - 1, max(0, memory))


def images_in_memory(trainer: Trainer) -> int:
    """Bytes of the images that the trainer keeps on the device."""
    splits = (trainer.train_batches.images, trainer.validation_batches.images)
    return sum(images.nbytes for images in splits if images is not None)


def loading_lines(setting: Setting, device: torch.device) -> Iterator[str]:
    """A table of how fast files are read, and how fast they are read and trained on."""
    yield "| work | images/s |"
    yield "| --- | ---: |"
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
            yield f"| reading with {workers} processes | {images / reading:.0f} |"
            yield f"| reading and training {name} | {images / training:.0f} |"


def images_per_second(setting: Setting, device: torch.device | None = None) -> float:
    """Of all processes together, for the first network of the setting."""
    name = next(iter(setting.networks))
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    dataset = synthetic(replace(setting, images=setting.images * processes))
    trainer = make_trainer(build(name, "ours", setting), dataset, setting, device)
    work, device = our_loop(trainer, setting.steps), trainer.accelerator.device
    with algorithms(deterministic=False):
        work()
        seconds = statistics.median(seconds_of(work, device) for _ in range(setting.rounds))
    return setting.steps * trainer.images_per_step / seconds


if __name__ == "__main__":
    rate = images_per_second(PHOTOGRAPHS)
    if PartialState().is_main_process:
        print(rate)
