"""Time and memory of our networks, and of torchvision's and timm's with the same weights.

`make bench` runs it. `python -m benchmarks.models` measures every network that torchvision or timm
has, and writes `results/models.md` after each, so that nothing is lost when it is stopped.
`python -m benchmarks.models resnet50 vgg16 --rounds 3 --threads 1` measures these two, and writes
`results/models_selected.md`.
"""

import statistics
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
from convnets.models import checkpoints, for_inference, for_training
from convnets.tables import counted

BATCH = 4
LARGEST_INPUT = 160
RESULTS = Path(__file__).with_name("results")
PEERS = ("torchvision", "timm")
MEMBERS = [
    n for n in convnets.list_models() if any(n in checkpoints.SOURCES[peer] for peer in PEERS)
]
HEAD = """# Our networks and those of other packages

{machine}.
{networks} of {members} networks, batches of {batch} images of at most {size}x{size} pixels,
{rounds} alternating rounds.

*Ours* is the plain network in float32; *fast* is `for_inference` or `for_training` of it;
*compiled* is `torch.compile` of it. The *peer* is torchvision's network, or timm's where
torchvision has none, in float32 without compilation. Ratios below 1 mean that ours takes less. Time
is the median ratio of consecutive runs: CPU time on one thread, wall-clock time on several. Memory
is the peak of all tensors beyond weights and images.
"""
HEADERS = ("network", "setting", "ours, ms")
RATIOS = (
    *("ours / torchvision", "ours / timm", "fast / peer", "compiled / peer"),
    *("ours, MiB", "by torchvision", "by timm"),
)


@dataclass(frozen=True)
class Line:
    """The measurements of one network in one setting."""

    name: str
    setting: str
    milliseconds: float
    ratios: dict[str, float]
    """By the names in `RATIOS`; those of packages without this network are missing."""

    def text(self) -> str:
        """The row of the Markdown table."""
        ratios = [f"{self.ratios[key]:.2f}" if key in self.ratios else "" for key in RATIOS]
        return f"| {' | '.join([self.name, self.setting, f'{self.milliseconds:.0f}', *ratios])} |"


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


SETTINGS = {"eval": (evaluation, for_inference), "train": (training_step, for_training)}


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


def compare(name: str, rounds: int, numbers: list[int], compiled: bool) -> Iterator[Line]:
    """Measure our network and its peers, in evaluation and training, on each number of threads."""
    ours = convnets.create_model(name)
    peers = {source: peer(name, source) for source in PEERS if name in checkpoints.SOURCES[source]}
    for source, theirs in peers.items():
        for key, tensor in checkpoints.convert(name, theirs.state_dict(), source).items():
            tensor.copy_(ours.state_dict()[key])  # the converted tensors share their memory
    images = images_for(name)
    for mode, (setting, accelerated) in SETTINGS.items():
        torch.compiler.reset()  # the networks share forward(), whose compilations are limited
        fast = accelerated(convnets.create_model(name).train(mode == "train"))
        nets = {"ours": ours, "fast": fast, **peers}
        if compiled:
            nets["compiled"] = torch.compile(ours)
        works = {way: setting(net, images) for way, net in nets.items()}
        memory = {way: measure.peak_bytes(works[way]) for way in ("ours", *peers)}
        for number in numbers:
            with measure.threads(number):
                seconds = measure.interleaved(works, rounds)
            ways = [way for way in ("fast", "compiled") if way in nets]
            ratios = {f"{way} / peer": (way, next(iter(peers))) for way in ways}
            ratios |= {f"ours / {source}": ("ours", source) for source in peers}
            yield Line(
                name,
                f"{mode}, {counted(number, 'thread')}",
                statistics.median(seconds["ours"]) * 1e3,
                {key: measure.ratio(seconds[a], seconds[b]) for key, (a, b) in ratios.items()}
                | {f"by {source}": memory["ours"] / memory[source] for source in peers}
                | {"ours, MiB": memory["ours"] / 2**20},
            )


def summary(lines: list[Line]) -> list[str]:
    """Medians over the networks in each setting, as a Markdown table."""
    text = [
        "\n## Medians over the networks, with intervals of 95 %\n",
        "| setting | ours / peer | above 1.05 | fast / peer | above 1 | compiled / peer |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for setting in dict.fromkeys(line.setting for line in lines):
        some = [line.ratios for line in lines if line.setting == setting]
        ours = [r.get("ours / torchvision", r.get("ours / timm", 0.0)) for r in some]
        fast = [r["fast / peer"] for r in some]
        compiled = [r["compiled / peer"] for r in some if "compiled / peer" in r]
        cells = (
            *(setting, median(ours), f"{sum(ratio > 1.05 for ratio in ours)}"),
            *(median(fast), f"{sum(ratio > 1 for ratio in fast)}"),
            median(compiled) if compiled else "",
        )
        text.append(f"| {' | '.join(cells)} |")
    return text


def median(ratios: list[float]) -> str:
    """The median with its interval; fewer than six networks have none."""
    limits = ""
    if len(ratios) > 5:
        low, high = measure.interval(ratios)
        limits = f" ({low:.2f} to {high:.2f})"
    return f"{statistics.median(ratios):.2f}{limits}"


def main(
    names: Annotated[
        list[str] | None, typer.Argument(help="names of networks; all by default")
    ] = None,
    rounds: Annotated[int, typer.Option(min=3, help="runs of each network")] = 11,
    threads: Annotated[
        list[int] | None, typer.Option(help="numbers of threads; one and all by default")
    ] = None,
    compiled: Annotated[
        bool, typer.Option(help="measure torch.compile, which takes minutes for each network")
    ] = True,
) -> None:
    """Measure the networks and write the tables."""
    if unknown := [name for name in names or () if name not in MEMBERS]:
        raise typer.BadParameter(
            f"neither torchvision nor timm has {', '.join(unknown)}; choose from "
            f"{', '.join(MEMBERS)}"
        )
    torch.manual_seed(0)
    numbers = threads or sorted({1, torch.get_num_threads()})
    machine = measure.machine()
    columns = [*HEADERS, *RATIOS]
    table = [f"| {' | '.join(columns)} |", "| --- | --- |" + " ---: |" * (len(columns) - 2)]
    print("\n".join(table))
    lines: list[Line] = []
    for count, name in enumerate(names or MEMBERS, start=1):
        for line in compare(name, rounds, numbers, compiled):
            lines.append(line)
            print(line.text(), flush=True)
        head = HEAD.format(
            machine=machine,
            networks=count,
            members=len(MEMBERS),
            batch=BATCH,
            size=LARGEST_INPUT,
            rounds=rounds,
        )
        text = [head, *table, *(line.text() for line in lines), *summary(lines)]
        file = RESULTS / ("models_selected.md" if names else "models.md")
        file.write_text("\n".join(text) + "\n", encoding="utf-8")
    print("\n".join(summary(lines)))


if __name__ == "__main__":
    typer.run(main)
