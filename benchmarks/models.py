"""Time and memory of our networks and of torchvision's and timm's with the same weights.

`make bench` runs it. `python -m benchmarks.models resnet50 vgg16 --rounds 15` measures these two;
without names, it measures every network that torchvision or timm has. The table is written to
`results/models_1_and_2_threads.md`, where 1 and 2 are the numbers of threads.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import timm
import torch
import torchvision.models
import typer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD

import convnets
from benchmarks import measure
from convnets.models import checkpoints, fuse

BATCH = 2
LARGEST_INPUT = 160
RESULTS = Path(__file__).with_name("results")
PEERS = ("torchvision", "timm")
MEMBERS = [
    n for n in convnets.list_models() if any(n in checkpoints.SOURCES[peer] for peer in PEERS)
]
OPTIONS = ("resnet50", "googlenet_bn", "mobilenet_v2", "efficientnet_b0")
HEAD = """# Our networks and those of other packages

{machine}.
Batches of {batch} images of at most {size}x{size} pixels, float32, {rounds} alternating rounds.
Ratios below 1 mean that our network takes less. Time is the median ratio of consecutive runs: CPU
time on one thread, wall-clock time on several. Memory is the peak of all tensors beyond weights and
images.
"""
HEADERS = (
    *("network", "setting", "ours, ms", "by torchvision", "by timm"),
    *("ours, MiB", "by torchvision", "by timm"),
)


@dataclass(frozen=True)
class Line:
    """The measurements of one network in one setting."""

    name: str
    setting: str
    milliseconds: float
    time: dict[str, float]
    """Ratio of our time to that of each package."""
    mebibytes: float
    memory: dict[str, float]
    """Ratio of our memory to that of each package."""

    def text(self) -> str:
        """The row of the Markdown table."""
        ratios = [
            f"{values[peer]:.2f}" if peer in values else ""
            for values in (self.time, self.memory)
            for peer in PEERS
        ]
        return (
            f"| {self.name} | {self.setting} | {self.milliseconds:.0f} | {ratios[0]} | {ratios[1]} "
            f"| {self.mebibytes:.0f} | {ratios[2]} | {ratios[3]} |"
        )


def evaluation(net: nn.Module, images: Tensor) -> measure.Work:
    """A forward pass of images (N, C, H, W) in evaluation mode."""

    def work() -> None:
        with torch.inference_mode():
            net.eval()(images)

    return work


def training_step(net: nn.Module, images: Tensor) -> measure.Work:
    """Forward and backward pass of images (N, C, H, W), and an update with learning rate 0."""
    optimizer = SGD(net.parameters(), lr=0.0)
    labels = torch.arange(len(images))

    def work() -> None:
        cross_entropy(net.train()(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return work


SETTINGS = {"eval": evaluation, "train": training_step}


def peer(name: str, source: str) -> nn.Module:
    """The network of `source` with the layers of our `name`, without auxiliary classifiers."""
    public = checkpoints.public_network(name, source).name
    if source == "timm":
        return timm.create_model(public)
    heads = {"aux_logits": False, "init_weights": False} if public == "googlenet" else {}
    return torchvision.models.get_model(public, **heads)


def images_for(name: str) -> Tensor:
    """Random images (BATCH, 3, H, H), H being the card's input size or `LARGEST_INPUT`."""
    side = min(convnets.card(name).input_size, LARGEST_INPUT)
    return torch.randn(BATCH, 3, side, side)


def compare(name: str, rounds: int, numbers: list[int]) -> Iterator[Line]:
    """Measure our network and its peers, in evaluation and training, on each number of threads."""
    ours = convnets.create_model(name)
    nets = {source: peer(name, source) for source in PEERS if name in checkpoints.SOURCES[source]}
    for source, theirs in nets.items():
        for key, tensor in checkpoints.convert(name, theirs.state_dict(), source).items():
            tensor.copy_(ours.state_dict()[key])  # the converted tensors share their memory
    nets["ours"] = ours
    images = images_for(name)
    for mode, setting in SETTINGS.items():
        works = {source: setting(net, images) for source, net in nets.items()}
        memory = {}
        for number in numbers:
            with measure.threads(number):
                seconds = measure.interleaved(works, rounds)
            memory = memory or {source: measure.peak_bytes(works[source]) for source in works}
            yield Line(
                name,
                f"{mode}, {number} thread{'s' if number > 1 else ''}",
                sorted(seconds["ours"])[rounds // 2] * 1e3,
                {p: measure.ratio(seconds["ours"], seconds[p]) for p in nets if p != "ours"},
                memory["ours"] / 2**20,
                {p: memory["ours"] / memory[p] for p in nets if p != "ours"},
            )


def options(name: str, rounds: int) -> str:
    """Time of inference with channels_last, with folded batch norm and with both.

    Returns:
        A row of the Markdown table, with ratios to the time of the plain network.
    """
    images = images_for(name)
    last = images.to(memory_format=torch.channels_last)
    net, fused = convnets.create_model(name).eval(), fuse(convnets.create_model(name).eval())
    works = {
        "plain": evaluation(net, images),
        "channels_last": evaluation(
            convnets.create_model(name).to(memory_format=torch.channels_last), last
        ),
        "fused": evaluation(fused, images),
        "both": evaluation(
            fuse(convnets.create_model(name).eval()).to(memory_format=torch.channels_last), last
        ),
    }
    seconds = measure.interleaved(works, rounds)
    ratios = (measure.ratio(seconds[way], seconds["plain"]) for way in list(works)[1:])
    return f"| {name} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |"


def main(
    names: Annotated[
        list[str] | None, typer.Argument(help="names of networks; all by default")
    ] = None,
    rounds: Annotated[int, typer.Option(min=3, help="runs of each network")] = 7,
    threads: Annotated[
        list[int] | None, typer.Option(help="numbers of threads; one and all by default")
    ] = None,
) -> None:
    """Measure the networks and write the tables."""
    if unknown := [name for name in names or () if name not in MEMBERS]:
        raise typer.BadParameter(
            f"neither torchvision nor timm has {', '.join(unknown)}; choose from "
            f"{', '.join(MEMBERS)}"
        )
    torch.manual_seed(0)
    numbers = threads or sorted({1, torch.get_num_threads()})
    head = HEAD.format(machine=measure.machine(), batch=BATCH, size=LARGEST_INPUT, rounds=rounds)
    text = [
        head,
        f"| {' | '.join(HEADERS)} |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    print("\n".join(text))
    for name in names or MEMBERS:
        for line in compare(name, rounds, numbers):
            text.append(line.text())
            print(text[-1], flush=True)
    text += [
        "",
        "## Options for inference, relative to the plain network",
        "",
        "| network | channels_last | `convnets.models.fuse` | both |",
        "| --- | ---: | ---: | ---: |",
    ]
    print("\n".join(text[-5:]))
    for name in [name for name in names or OPTIONS if name in OPTIONS]:
        text.append(options(name, rounds))
        print(text[-1], flush=True)
    RESULTS.mkdir(exist_ok=True)
    file = f"models_{'_and_'.join(map(str, numbers))}_threads.md"
    (RESULTS / file).write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
