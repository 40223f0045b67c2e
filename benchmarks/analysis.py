"""`trace` against torchinfo's summary of the same network: `python -m benchmarks.analysis`.

Both run on the meta device, so neither computes a number. The table goes to `results/analysis.md`.
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
    """The table's row for one network."""
    with torch.device("meta"):
        net = convnets.create_model(name)
        image = torch.empty(1, net.in_channels, net.input_size, net.input_size)
    works = {
        "ours": partial(trace, net),
        "reference": partial(
            torchinfo.summary, net, input_data=image, device="meta", verbose=0, mode="eval"
        ),
    }
    with measure.threads(1):
        seconds = measure.interleaved(works, ROUNDS)
    median = sorted(seconds["ours"])[ROUNDS // 2]
    return f"| {name} | {median:.2f} | {measure.ratio(seconds['ours'], seconds['reference']):.2f} |"


def main() -> None:
    """Measure all networks, and print and save the table."""
    text = [
        "# trace and torchinfo\n",
        f"{measure.machine()}, torchinfo {torchinfo.__version__}.",
        f"CPU time, {ROUNDS} interleaved rounds. `trace` computes receptive fields as well.\n",
        "| network | trace, s | ratio to torchinfo |",
        "| --- | ---: | ---: |",
        *(line(name) for name in NAMES),
    ]
    RESULTS.write_text("\n".join(text) + "\n", encoding="utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    main()
