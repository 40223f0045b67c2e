"""Slides 61 and 62: MobileNet and ShuffleNet."""

import torch

from convnets.layers import channel_shuffle
from convnets.lecture.measure import convolutions, traced
from convnets.lecture.papers import MOBILENET_TOP1_ACCURACY
from convnets.lecture.rows import Claim
from convnets.registry import card

GROUPS = 3


def pairs_of_filters() -> bool:
    """Whether depthwise 3x3 and pointwise 1x1 filters alternate after MobileNet's first layer."""
    rows = convolutions(traced("mobilenet_v1"))[1:]
    depthwise, pointwise = rows[::2], rows[1::2]
    return all(row.groups == row.output[0] and row.kernel == (3, 3) for row in depthwise) and all(
        row.groups == 1 and row.kernel == (1, 1) for row in pointwise
    )


def macs_with_convolutions() -> int:
    """MACs of MobileNet if each pair were one 3x3 convolution, nine times its pointwise part."""
    mobile = traced("mobilenet_v1")
    rows = convolutions(mobile)[1:]
    pairs = sum(row.macs for row in rows)
    return mobile.macs - pairs + sum(9 * row.macs for row in rows[1::2])


def saving() -> float:
    return macs_with_convolutions() / traced("mobilenet_v1").macs


def loss() -> float:
    """Percentage points of top-1 accuracy."""
    return MOBILENET_TOP1_ACCURACY["convolutions"] - MOBILENET_TOP1_ACCURACY["depthwise separable"]


def share_of_dense_one_by_one(name: str) -> float:
    """Share of the MACs in 1x1 convolutions without groups."""
    dense = [row for row in convolutions(traced(name)) if row.kernel == (1, 1) and row.groups == 1]
    return sum(row.macs for row in dense) / traced(name).macs


def every_group_has_channels_of_all() -> bool:
    """Whether each group has channels of all groups after the shuffle."""
    origin = torch.arange(GROUPS).repeat_interleave(GROUPS).view(1, -1, 1, 1)
    after = channel_shuffle(origin, GROUPS).view(GROUPS, GROUPS)
    return all(sorted(group) == list(range(GROUPS)) for group in after.tolist())


CLAIMS = (
    Claim(
        61,
        "MobileNet splits convolutions into depthwise and pointwise filters",
        True,
        pairs_of_filters,
    ),
    Claim(
        61,
        "It is much more efficient",
        True,
        lambda: saving() > 5,
        lambda: (
            f"It needs {card('mobilenet_v1').macs / 1e6:.0f}M multiply-accumulates. With standard "
            f"convolutions it would need {macs_with_convolutions() / 1e6:,.0f}M, {saving():.1f} "
            "times as many."
        ),
    ),
    Claim(
        61,
        "There is little loss in accuracy",
        True,
        lambda: loss() < 2,
        f"It loses {loss():.1f} points of top-1 accuracy: Howard et al., 2017, table 4.",
    ),
    Claim(
        62,
        "In networks of grouped convolutions, dense 1x1 convolutions take most of the cost",
        True,
        lambda: share_of_dense_one_by_one("mobilenet_v1") > 0.5,
        lambda: (
            "Their share of the multiply-accumulates is "
            f"{share_of_dense_one_by_one('mobilenet_v1'):.0%} in MobileNet, "
            f"{share_of_dense_one_by_one('resnext50_32x4d'):.0%} in ResNeXt-50 and "
            f"{share_of_dense_one_by_one('shufflenet_v1_g3'):.0%} in ShuffleNet, which needs "
            f"{card('shufflenet_v1_g3').macs / 1e6:.0f}M in total."
        ),
    ),
    Claim(
        62,
        "Channel shuffle lets information flow across the groups",
        True,
        every_group_has_channels_of_all,
    ),
)
