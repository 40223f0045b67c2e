"""ShuffleNet: grouped 1x1 convolutions, with a shuffle of the channels between them.

Xiangyu Zhang, Xinyu Zhou, Mengxiao Lin, Jian Sun: "ShuffleNet: an extremely efficient convolutional
neural network for mobile devices", 2018, table 1 and figure 2. Lecture slide 62.

The idea: in a small network, 1x1 convolutions are the most expensive layers. Groups make them
cheap, and a shuffle of the channels passes information between the groups.

Differences from the paper: He initialisation, since the paper does not state one. Where the scale
factor leaves the stem a width that is not a multiple of the groups, it gets the next multiple.
"""

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from convnets.layers import (
    ChannelShuffle,
    ImageClassifier,
    check_groups,
    conv_norm_act,
    init_he_normal_,
    pooled_head,
)
from convnets.registry import register

# Table 1: number of units in stages 2 to 4, the first with stride 2, and their widths for g groups.
DEPTHS = (4, 8, 4)  # 28, 14, 7
WIDTHS = {
    # g: stage 2, 3, 4
    1: (144, 288, 576),
    2: (200, 400, 800),
    3: (240, 480, 960),
    4: (272, 544, 1088),
    8: (384, 768, 1536),
}
STEM_WIDTH = 24


def residual(
    in_channels: int, mid_channels: int, out_channels: int, groups: tuple[int, int], stride: int = 1
) -> nn.Module:
    """Grouped 1x1, shuffle, depthwise 3x3 without ReLU, grouped 1x1 (figure 2b and c).

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))

    Args:
        in_channels: number of channels of the input.
        mid_channels: number of channels of the depthwise convolution.
        out_channels: number of channels of the output.
        groups: groups of the first and of the last convolution; the shuffle is for the last.
        stride: stride of the depthwise convolution.

    Raises:
        ValueError: if the groups do not divide the channels of their convolutions.
    """
    for channels, parts in (
        (in_channels, groups[0]),
        (mid_channels, groups[0]),
        (out_channels, groups[1]),
    ):
        check_groups(channels, parts)
    return nn.Sequential(
        OrderedDict(
            compress=conv_norm_act(in_channels, mid_channels, 1, groups=groups[0]),
            shuffle=ChannelShuffle(mid_channels, groups[1]),
            depthwise=conv_norm_act(
                mid_channels, mid_channels, 3, stride, groups=mid_channels, activation=None
            ),
            expand=conv_norm_act(mid_channels, out_channels, 1, groups=groups[1], activation=None),
        )
    )


class ShuffleUnit(nn.Module):
    """A residual block (figure 2b): (N, channels, H, W) -> (N, channels, H, W).

    Args:
        channels: number of channels of input and output.
        groups: groups of both 1x1 convolutions.

    Raises:
        ValueError: if `channels // 4` is not a multiple of `groups`.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.residual = residual(channels, channels // 4, channels, (groups, groups))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(x + self.residual(x))


class HalvingShuffleUnit(nn.Module):
    """A unit of stride 2, which concatenates its residual branch and its pooled input (figure 2c).

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / 2), ceil(W / 2))

    Args:
        groups: groups of the first and of the last convolution.

    Raises:
        ValueError: if the groups do not divide the channels of their convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, groups: tuple[int, int]) -> None:
        super().__init__()
        new = out_channels - in_channels
        self.residual = residual(in_channels, out_channels // 4, new, groups, stride=2)
        self.shortcut = nn.AvgPool2d(kernel_size=3, stride=2, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(torch.cat([self.residual(x), self.shortcut(x)], dim=1))


class ShuffleNet(ImageClassifier):
    """ShuffleNet v1: (N, in_channels, H, W) -> (N, num_classes).

    Args:
        groups: groups of the 1x1 convolutions, a key of `WIDTHS`.
        scale: factor of all widths, the paper's s.

    Raises:
        ValueError: if table 1 does not have this number of groups, or the groups do not divide the
            scaled widths.
    """

    def __init__(
        self, groups: int = 3, scale: float = 1.0, num_classes: int = 1000, in_channels: int = 3
    ) -> None:
        if groups not in WIDTHS:
            raise ValueError(f"table 1 has {', '.join(map(str, WIDTHS))} groups, got {groups}")
        if int(STEM_WIDTH * scale) < 1:
            raise ValueError(f"scale must be at least 1/{STEM_WIDTH}, got {scale}")
        channels = math.ceil(int(STEM_WIDTH * scale) / groups) * groups
        features: OrderedDict[str, nn.Module] = OrderedDict()
        features["stem"] = conv_norm_act(in_channels, channels, 3, stride=2)  # 112
        features["pool"] = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)  # 56
        for stage, (depth, width) in enumerate(zip(DEPTHS, WIDTHS[groups], strict=True), start=2):
            out_channels = int(width * scale)
            # The stem has few channels, so the first convolution after it is not grouped.
            first = (1 if stage == 2 else groups, groups)
            units: list[nn.Module] = [HalvingShuffleUnit(channels, out_channels, first)]
            units += [ShuffleUnit(out_channels, groups) for _ in range(depth - 1)]
            features[f"stage{stage}"] = nn.Sequential(*units)
            channels = out_channels
        super().__init__(
            nn.Sequential(features),
            pooled_head(channels, num_classes),
            num_classes=num_classes,
            in_channels=in_channels,
        )
        init_he_normal_(self)


@register
def shufflenet_v1_g1(num_classes: int = 1000, in_channels: int = 3) -> ShuffleNet:
    """ShuffleNet v1 with 1 group (table 1)."""
    return ShuffleNet(1, num_classes=num_classes, in_channels=in_channels)


@register
def shufflenet_v1_g2(num_classes: int = 1000, in_channels: int = 3) -> ShuffleNet:
    """ShuffleNet v1 with 2 groups (table 1)."""
    return ShuffleNet(2, num_classes=num_classes, in_channels=in_channels)


@register
def shufflenet_v1_g3(num_classes: int = 1000, in_channels: int = 3) -> ShuffleNet:
    """ShuffleNet v1 with 3 groups (table 1)."""
    return ShuffleNet(3, num_classes=num_classes, in_channels=in_channels)


@register
def shufflenet_v1_g4(num_classes: int = 1000, in_channels: int = 3) -> ShuffleNet:
    """ShuffleNet v1 with 4 groups (table 1)."""
    return ShuffleNet(4, num_classes=num_classes, in_channels=in_channels)


@register
def shufflenet_v1_g8(num_classes: int = 1000, in_channels: int = 3) -> ShuffleNet:
    """ShuffleNet v1 with 8 groups (table 1)."""
    return ShuffleNet(8, num_classes=num_classes, in_channels=in_channels)
