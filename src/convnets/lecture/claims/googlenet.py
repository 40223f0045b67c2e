"""Slides 33 to 35: GoogLeNet."""

from itertools import groupby

import torch
from torch import nn

from convnets.lecture.measure import count, depth, network, traced
from convnets.lecture.papers import GOOGLENET_CHALLENGE_ERROR, WINNERS
from convnets.lecture.rows import Claim
from convnets.models.googlenet_auxiliary import AUXILIARIES
from convnets.registry import card


def stem() -> str:
    """The convolutions and pools before the first module: Conv-Pool-2xConv-Pool."""
    names = {"Conv2d": "Conv", "MaxPool2d": "Pool"}
    rows = [row for row in traced("googlenet") if ".stem." in row.name and row.kind in names]
    runs = [(name, len(list(run))) for name, run in groupby(names[row.kind] for row in rows)]
    return "-".join(name if times == 1 else f"{times}x{name}" for name, times in runs)


def averages_maps() -> bool:
    """Whether the pool before the last layer turns HxWxc into 1x1xc."""
    pool = network("googlenet").classifier.get_submodule("pool")
    return pool(torch.empty(1, 8, 7, 7)).shape == (1, 8, 1, 1)


def ratio(name: str) -> float:
    return card(name).parameters / card("googlenet").parameters


def implied(name: str, claimed: int) -> str:
    return (
        f"GoogLeNet as in table 1 has {card('googlenet').parameters / 1e6:.1f}M parameters; "
        f"{claimed}x fewer than {card(name).parameters / 1e6:.0f}M would be "
        f"{card(name).parameters / claimed / 1e6:.1f}M."
    )


CLAIMS = (
    Claim(33, "Layers before the first module", "Conv-Pool-2xConv-Pool", stem),
    Claim(
        33,
        "It has auxiliary classifiers",
        True,
        lambda: len(AUXILIARIES) > 0,
        f"There are {len(AUXILIARIES)}, on the modules {' and '.join(AUXILIARIES)}.",
    ),
    Claim(
        34,
        "Global average pooling reduces HxWxc to 1x1xc",
        True,
        averages_maps,
    ),
    Claim(
        34,
        "It replaces several fully connected layers",
        True,
        lambda: count(traced("googlenet"), nn.Linear) == 1 < count(traced("alexnet"), nn.Linear),
    ),
    Claim(35, "Layers", "22", lambda: depth("googlenet")),
    Claim(
        35,
        "12x fewer parameters than AlexNet",
        "12x",
        lambda: ratio("alexnet"),
        lambda: f"The figure is from section 1 of the paper. {implied('alexnet', 12)}",
    ),
    Claim(
        35,
        "27x fewer parameters than VGG-16",
        "27x",
        lambda: ratio("vgg16"),
        lambda: implied("vgg16", 27),
    ),
    Claim(
        35,
        "Winner of the classification task of ILSVRC'14",
        "GoogLeNet",
        lambda: next(winner.network or "" for winner in WINNERS if winner.year == 2014),
        "Russakovsky et al., 2015, table 5.",
    ),
    Claim(
        35,
        "Its top-5 error in the challenge",
        "6.7%",
        lambda: GOOGLENET_CHALLENGE_ERROR,
        "Szegedy et al., 2015, section 8: an ensemble of seven networks on 144 crops.",
    ),
)
