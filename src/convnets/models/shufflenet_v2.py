"""ShuffleNet v2: designed for measured speed rather than for few operations.

Ningning Ma, Xiangyu Zhang, Hai-Tao Zheng, Jian Sun: "ShuffleNet V2: practical guidelines for
efficient CNN architecture design", 2018, table 5 and figure 3. It follows lecture slide 62.

The idea: groups increase memory traffic. Instead, split the channels into halves, convolve one half
with ungrouped convolutions of equal width, concatenate, and shuffle the halves.

Differences from the paper: He initialisation, since the paper does not state one.
"""

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

# Table 5: number of units in stages 2 to 4, the first with stride 2; widths of these and of conv5.
STEM_WIDTH = 24
DEPTHS = (4, 8, 4)  # 28, 14, 7
WIDTHS = {
    "x0_5": (48, 96, 192, 1024),
    "x1_0": (116, 232, 464, 1024),
    "x1_5": (176, 352, 704, 1024),
    "x2_0": (244, 488, 976, 2048),
}


def branch(in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
    """1x1, depthwise 3x3 without ReLU and 1x1, the right branches of figure 3c and d.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))
    """
    return nn.Sequential(
        OrderedDict(
            before=conv_norm_act(in_channels, out_channels, 1),
            depthwise=conv_norm_act(
                out_channels, out_channels, 3, stride, groups=out_channels, activation=None
            ),
            after=conv_norm_act(out_channels, out_channels, 1),
        )
    )


class ShuffleUnitV2(nn.Module):
    """Convolves half of the channels and passes the other half on (figure 3c).

    (N, channels, H, W) -> (N, channels, H, W)

    Raises:
        ValueError: if `channels` is odd.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        check_groups(channels, 2)
        self.branch = branch(channels // 2, channels // 2)
        self.shuffle = ChannelShuffle(channels, 2)

    def forward(self, x: Tensor) -> Tensor:
        passed, convolved = x.chunk(2, dim=1)
        return self.shuffle(torch.cat([passed, self.branch(convolved)], dim=1))


class HalvingShuffleUnitV2(nn.Module):
    """A unit of stride 2, in which two branches convolve all channels (figure 3d).

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / 2), ceil(W / 2))

    Raises:
        ValueError: if `out_channels` is odd.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        check_groups(out_channels, 2)
        self.short_branch = nn.Sequential(
            OrderedDict(
                depthwise=conv_norm_act(
                    in_channels, in_channels, 3, stride=2, groups=in_channels, activation=None
                ),
                after=conv_norm_act(in_channels, out_channels // 2, 1),
            )
        )
        self.branch = branch(in_channels, out_channels // 2, stride=2)
        self.shuffle = ChannelShuffle(out_channels, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(torch.cat([self.short_branch(x), self.branch(x)], dim=1))


class ShuffleNetV2(ImageClassifier):
    """ShuffleNet v2: (N, in_channels, H, W) -> (N, num_classes).

    Args:
        widths: widths of stages 2 to 4 and of the last convolution, such as a value of `WIDTHS`.

    Raises:
        ValueError: if the width of a stage is odd.
    """

    def __init__(
        self, widths: tuple[int, int, int, int], num_classes: int = 1000, in_channels: int = 3
    ) -> None:
        channels = STEM_WIDTH
        features: OrderedDict[str, nn.Module] = OrderedDict()
        features["stem"] = conv_norm_act(in_channels, channels, 3, stride=2)  # 112
        features["pool"] = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)  # 56
        for stage, (depth, width) in enumerate(zip(DEPTHS, widths[:3], strict=True), start=2):
            units: list[nn.Module] = [HalvingShuffleUnitV2(channels, width)]
            units += [ShuffleUnitV2(width) for _ in range(depth - 1)]
            features[f"stage{stage}"] = nn.Sequential(*units)
            channels = width
        features["conv5"] = conv_norm_act(channels, widths[3], 1)
        super().__init__(
            nn.Sequential(features),
            pooled_head(widths[3], num_classes),
            num_classes=num_classes,
            in_channels=in_channels,
        )
        init_he_normal_(self)


@register
def shufflenet_v2_x0_5(num_classes: int = 1000, in_channels: int = 3) -> ShuffleNetV2:
    """ShuffleNet v2, 0.5x (table 5)."""
    return ShuffleNetV2(WIDTHS["x0_5"], num_classes, in_channels)


@register
def shufflenet_v2_x1_0(num_classes: int = 1000, in_channels: int = 3) -> ShuffleNetV2:
    """ShuffleNet v2, 1.0x (table 5)."""
    return ShuffleNetV2(WIDTHS["x1_0"], num_classes, in_channels)


@register
def shufflenet_v2_x1_5(num_classes: int = 1000, in_channels: int = 3) -> ShuffleNetV2:
    """ShuffleNet v2, 1.5x (table 5)."""
    return ShuffleNetV2(WIDTHS["x1_5"], num_classes, in_channels)


@register
def shufflenet_v2_x2_0(num_classes: int = 1000, in_channels: int = 3) -> ShuffleNetV2:
    """ShuffleNet v2, 2.0x (table 5)."""
    return ShuffleNetV2(WIDTHS["x2_0"], num_classes, in_channels)
