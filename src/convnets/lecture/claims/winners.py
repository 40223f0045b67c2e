"""Slides 46 to 50: the comparison of networks, the last winners, SENet."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from convnets.lecture.measure import adds_maps, top1_error, traced
from convnets.lecture.papers import WINNERS
from convnets.lecture.rows import Claim
from convnets.models.senet import REDUCTION, gate
from convnets.registry import Card, card, list_models

# The networks in the figure on slide 46 (Canziani et al., 2016) that the course has.
COMPARED = (
    "alexnet",
    "googlenet_bn",
    "vgg16",
    "vgg19",
    "inception_v4",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
)
CHANNELS = 64


def accuracy(each: Card) -> float:
    """Top-1 accuracy in percent."""
    return 100 - top1_error(each.name)


def family_with_most(of: Callable[[Card], float]) -> str:
    return max(map(card, COMPARED), key=of).family


def better_than_vgg() -> bool:
    resnet, vgg = card("resnet152"), card("vgg19")
    return (
        accuracy(resnet) > accuracy(vgg)
        and resnet.parameters < vgg.parameters
        and resnet.macs < vgg.macs
    )


def models_of(year: int) -> tuple[str, ...]:
    return next(winner.models for winner in WINNERS if winner.year == year)


def maps() -> Tensor:
    """Feature maps of shape (1, CHANNELS, 6, 6)."""
    return torch.rand(1, CHANNELS, 6, 6, generator=torch.Generator().manual_seed(0))


def squeezes() -> bool:
    means = gate(CHANNELS).squeeze(maps())
    return torch.allclose(means.flatten(), maps().mean(dim=(2, 3)).flatten())


@cache
def factors() -> Tensor:
    """The factor by which an untrained gate multiplies each value, (CHANNELS, 36)."""
    with torch.no_grad():
        return (gate(CHANNELS)(maps()) / maps()).flatten(2)[0]


def weights_each_channel() -> bool:
    """Whether each map has a factor between 0 and 1, not the same for all maps."""
    each = factors()[:, 0]
    return bool(each.min() > 0 and each.max() < 1 and each.std() > 0)


def scales_maps() -> bool:
    """Whether all values of a map have the same factor."""
    return torch.allclose(factors(), factors()[:, :1].expand_as(factors()))


def gate_weights() -> tuple[int, int]:
    """Weights of the two layers in a gate, and of one layer from all means to all factors."""
    with torch.device("meta"):
        hidden = gate(CHANNELS).reduce.out_channels
    return 2 * CHANNELS * hidden, CHANNELS**2


CLAIMS = (
    Claim(
        46,
        "Inception-v4 is ResNet + Inception",
        True,
        lambda: adds_maps("inception_v4"),
        "Inception-v4 has no shortcuts. The combination of the two is Inception-ResNet, from the "
        "same paper (Szegedy et al., 2017).",
    ),
    Claim(
        46,
        "Most parameters; most operations",
        ("VGG", "VGG"),
        lambda: (
            family_with_most(lambda each: each.parameters),
            family_with_most(lambda each: each.macs),
        ),
        f"Among {', '.join(card(name).title for name in COMPARED)}.",
    ),
    Claim(
        46,
        "Most efficient",
        "GoogLeNet",
        lambda: family_with_most(lambda each: accuracy(each) / each.parameters),
        "By top-1 accuracy per parameter. Per multiply-accumulate it would be "
        f"{family_with_most(lambda each: accuracy(each) / each.macs)}.",
    ),
    Claim(
        46,
        "ResNet is efficient and accurate",
        True,
        better_than_vgg,
        "ResNet-152 is more accurate than VGG-19 with fewer parameters and operations.",
    ),
    Claim(
        47,
        "A winner is an ensemble of",
        "Inception, Inception-ResNet, ResNet, Wide ResNet",
        lambda: ", ".join(models_of(2016)),
        "ILSVRC 2016, Trimps-Soushen; results page of the challenge.",
    ),
    Claim(
        48,
        "The competition was last held in",
        "2017",
        lambda: str(max(winner.year for winner in WINNERS)),
        "Results pages of the challenge, image-net.org.",
    ),
    Claim(49, "Squeeze: the mean of each channel", True, squeezes),
    Claim(49, "Excitation: a weight for each channel", True, weights_each_channel),
    Claim(49, "Scale: each map is multiplied by its weight", True, scales_maps),
    Claim(
        50,
        "It can be combined with Inception and with ResNet",
        True,
        lambda: {"se_googlenet", "se_resnet50"} <= set(list_models()),
        "The course has `se_googlenet` and `se_resnet50`.",
    ),
    Claim(
        50,
        "A bottleneck in the excitation reduces the number of parameters",
        True,
        lambda: gate_weights()[0] < gate_weights()[1],
        lambda: (
            "For {} maps, two layers have {:,} weights instead of {:,}, with the paper's reduction "
            "ratio of {}.".format(CHANNELS, *gate_weights(), REDUCTION)
        ),
    ),
    Claim(
        50,
        "It adds non-linearities",
        True,
        lambda: "ReLU" in [row.kind for row in traced("se_resnet50") if ".gate." in row.name],
        "There is a ReLU between the two layers.",
    ),
)
