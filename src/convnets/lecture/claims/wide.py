"""Slides 54 and 55: Wide ResNet and ResNeXt."""

from convnets.lecture.measure import depth, traced
from convnets.lecture.papers import SINGLE_CROP_TOP1_ERROR, TIME_OF_A_BATCH
from convnets.lecture.rows import Claim, text
from convnets.registry import card

WRN, RESNET = SINGLE_CROP_TOP1_ERROR["WRN-50-2"], SINGLE_CROP_TOP1_ERROR["ResNet-152"]
FACTOR = 10
"""k of WRN-28-10."""


def widths(name: str) -> list[int]:
    """Number of output channels of the first convolution of each stage."""
    return [row.output[0] for row in traced(name) if row.name.endswith(".0.residual.conv1")]


def inner(name: str) -> tuple[int, int]:
    """Number of output channels and of groups of the 3x3 convolution in the first bottleneck."""
    row = traced(name)["stage1.0.residual.conv2"]
    assert row.groups is not None
    return row.output[0], row.groups


CLAIMS = (
    Claim(
        54,
        "A wide block has F x k filters instead of F filters",
        True,
        lambda: widths("wide_resnet28_10") == [FACTOR * width for width in widths("resnet20")],
        lambda: (
            f"WRN-28-10 has k = {FACTOR} and, in its three stages, "
            f"{text(tuple(widths('wide_resnet28_10')))} filters instead of "
            f"{text(tuple(widths('resnet20')))}."
        ),
    ),
    Claim(
        54,
        "Layers of the wide network, and of the original one",
        ("50", "152"),
        lambda: (depth("wide_resnet50_2"), depth("resnet152")),
    ),
    Claim(
        54,
        "The 50-layer wide ResNet outperforms the 152-layer ResNet",
        True,
        lambda: WRN < RESNET,
        f"The top-1 error is {WRN}% instead of {RESNET}%, with one crop: Zagoruyko and Komodakis, "
        "2016, table 8.",
    ),
    Claim(
        54,
        "Width is computationally more efficient than depth",
        True,
        lambda: TIME_OF_A_BATCH["WRN-50-2"] < TIME_OF_A_BATCH["ResNet-152"],
        lambda: (
            f"16 images take {TIME_OF_A_BATCH['WRN-50-2']} ms instead of "
            f"{TIME_OF_A_BATCH['ResNet-152']} ms (table 8), since a GPU is faster with a few large "
            "steps. The multiply-accumulates are nearly the same, "
            f"{card('wide_resnet50_2').macs / 1e9:.1f}G and {card('resnet152').macs / 1e9:.1f}G."
        ),
    ),
    Claim(
        55,
        "ResNeXt increases the width of the residual block",
        True,
        lambda: inner("resnext50_32x4d")[0] > inner("resnet50")[0],
        lambda: (
            f"Its 3x3 convolution has {inner('resnext50_32x4d')[0]} filters instead of "
            f"{inner('resnet50')[0]}."
        ),
    ),
    Claim(
        55,
        "It does so by parallel pathways",
        True,
        lambda: inner("resnext50_32x4d")[1] > 1,
        lambda: (
            f"ResNeXt-50 has {inner('resnext50_32x4d')[1]} groups at about the same cost: "
            f"{card('resnext50_32x4d').parameters / 1e6:.1f}M parameters instead of "
            f"{card('resnet50').parameters / 1e6:.1f}M."
        ),
    ),
)
