"""`trace` against torchinfo's summary of the same network: `python -m benchmarks.analysis`.

On the meta device, so neither computes a number. The table goes to `results/analysis.md`.
"""

from functools import partial
from pathlib import Path

import torch
import torchinfo

import convnets
from benchmarks import measure
from convnets.analysis import trace

NAMES = ("alexnet", "vgg16", "resnet50", "resnet152", "densenet201", "efficientnet_b7")
ROUNDS = 5
RESULTS = Path(__file__).with_name("results") / "analysis.md"


def line(name: str) -> str:
    side = convnets.card(name).input_size
    with torch.device("meta"):
        net, image = convnets.create_model(name), torch.empty(1, 3, side, side)
    works = {
        "ours": partial(trace, net, side),
        "theirs": partial(
            torchinfo.summary, net, input_data=image, device="meta", verbose=0, mode="eval"
        ),
    }
    with measure.threads(1):
        seconds = measure.interleaved(works, ROUNDS)
    median = sorted(seconds["ours"])[ROUNDS // 2]
    return f"| {name} | {median:.2f} | {measure.ratio(seconds['ours'], seconds['theirs']):.2f} |"


def main() -> None:
    text = [
        "# trace and torchinfo\n",
        f"{measure.machine()}, torchinfo {torchinfo.__version__}.",
        f"Processor's time, {ROUNDS} rounds in turn. `trace` follows receptive fields as well.\n",
        "| network | trace, s | ratio to torchinfo |",
        "| --- | ---: | ---: |",
        *(line(name) for name in NAMES),
    ]
    RESULTS.write_text("\n".join(text) + "\n", encoding="utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    main()
