"""Forward time of our networks against torchvision's, with the same weights: `make bench`.

The two run in turn in one process, so that a busy machine slows both. The ratio of the medians is
what counts; the times themselves belong to the machine.
"""

import platform
import statistics
import time
from datetime import date
from pathlib import Path

import torch
import torchvision.models
from torch import Tensor, nn

import convnets
from convnets.models import checkpoints
from convnets.training import describe

NAMES = ("alexnet_one_tower", "vgg11", "vgg16_bn", "resnet18", "resnet50")
ROUNDS = 15
RESULTS = Path(__file__).with_name("results")


def cpu_seconds(net: nn.Module, images: Tensor) -> float:
    start = time.process_time()
    with torch.inference_mode():
        net(images)
    return time.process_time() - start


def compare(name: str, images: Tensor) -> tuple[float, float]:
    """Median CPU seconds of our network and of torchvision's, with the same weights."""
    peer = torchvision.models.get_model(checkpoints.public(name, "torchvision").name).eval()
    ours = convnets.build(name).eval()
    ours.load_state_dict(checkpoints.convert(name, peer.state_dict()))
    times: dict[nn.Module, list[float]] = {ours: [], peer: []}
    for round_number in range(ROUNDS + 2):
        for net, measured in times.items():
            seconds = cpu_seconds(net, images)
            if round_number >= 2:
                measured.append(seconds)
    return statistics.median(times[ours]), statistics.median(times[peer])


def main() -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 3, 224, 224)
    lines = [
        f"Forward pass of {len(images)} images of 224x224 pixels, float32, {ROUNDS} rounds",
        f"{date.today().isoformat()}, {platform.machine()}, {describe()}, "
        f"torchvision {torchvision.__version__}",
        "",
        f"{'network':<20}{'ours, ms':>10}{'torchvision, ms':>17}{'ratio':>8}",
    ]
    print("\n".join(lines))
    for name in NAMES:
        ours, peer = compare(name, images)
        lines.append(f"{name:<20}{ours * 1e3:>10.1f}{peer * 1e3:>17.1f}{ours / peer:>8.2f}")
        print(lines[-1])
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "models.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
