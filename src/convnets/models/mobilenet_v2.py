"""MobileNet v2: residual blocks that are thin where they meet and wide inside.

Mark Sandler, Andrew Howard, Menglong Zhu, Andrey Zhmoginov, Liang-Chieh Chen: "MobileNetV2:
inverted residuals and linear bottlenecks", 2018, tables 1 and 2. It follows MobileNet on lecture
slide 61, and EfficientNet is made of its blocks.

The idea: expand, convolve each map for itself, and project back without an activation, since a ReLU
on few maps loses what they hold; the shortcut joins the thin ends.

Differences from the paper: He initialisation and the dropout of the released network, since the
paper states neither.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from convnets.layers import ImageClassifier, conv_norm_act, init_he_normal_
from convnets.registry import register


@dataclass(frozen=True)
class InvertedResidualStage:
    """Blocks of one width, a line of table 2."""

    expansion: int
    """t: a block is t times as wide inside as its input."""
    width: int
    """c"""
    depth: int
    """n"""
    stride: int
    """s, of the first block"""


# Table 2, between the first convolution and the last.
TABLE_2 = (
    #   t,   c, n, s
    InvertedResidualStage(1, 16, 1, 1),  # 112
    InvertedResidualStage(6, 24, 2, 2),  # 56
    InvertedResidualStage(6, 32, 3, 2),  # 28
    InvertedResidualStage(6, 64, 4, 2),  # 14
    InvertedResidualStage(6, 96, 3, 1),
    InvertedResidualStage(6, 160, 3, 2),  # 7
    InvertedResidualStage(6, 320, 1, 1),
)

conv_norm_relu6 = partial(conv_norm_act, activation=partial(nn.ReLU6, inplace=True))


def round_width(width: float, divisor: int = 8) -> int:
    """The multiple of `divisor` next to `width`, but no less than 90 percent of it."""
    rounded = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * width else rounded + divisor


class InvertedResidual(nn.Module):
    """1x1 up, depthwise, 1x1 down without activation; a shortcut where shapes agree (table 1).

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))

    Args:
        expansion: width mid_channels, as a multiple of `in_channels`; with 1 there is no 1x1 up.
        kernel_size: side of the depthwise convolution.
        conv: makes a convolution with norm and activation, as `convnets.layers.conv_norm_act`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        expansion: int = 6,
        kernel_size: int = 3,
        conv: Callable[..., nn.Module] = conv_norm_relu6,
    ) -> None:
        super().__init__()
        mid_channels = expansion * in_channels
        self.expand = conv(in_channels, mid_channels, 1) if expansion > 1 else nn.Identity()
        self.depthwise = conv(mid_channels, mid_channels, kernel_size, stride, groups=mid_channels)
        self.project = conv(mid_channels, out_channels, 1, activation=None)
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def residual(self, x: Tensor) -> Tensor:
        return self.project(self.depthwise(self.expand(x)))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.residual(x) if self.has_shortcut else self.residual(x)


class MobileNetV2(ImageClassifier):
    """MobileNet v2: (N, in_channels, H, W) -> (N, num_classes).

    Args:
        width_multiplier: factor for all widths, but for a last one below 1280.

    Raises:
        ValueError: a multiplier that is not positive.
    """

    def __init__(
        self, width_multiplier: float = 1.0, num_classes: int = 1000, in_channels: int = 3
    ) -> None:
        if width_multiplier <= 0:
            raise ValueError(f"width_multiplier must be above 0, got {width_multiplier}")
        channels = round_width(32 * width_multiplier)
        features = OrderedDict(stem=conv_norm_relu6(in_channels, channels, 3, stride=2))
        for number, row in enumerate(TABLE_2, start=1):
            blocks = []
            for index in range(row.depth):
                width = round_width(row.width * width_multiplier)
                stride = row.stride if index == 0 else 1
                blocks.append(InvertedResidual(channels, width, stride, row.expansion))
                channels = width
            features[f"stage{number}"] = nn.Sequential(*blocks)
        last = round_width(1280 * max(1.0, width_multiplier))
        features["last"] = conv_norm_relu6(channels, last, 1)
        classifier = OrderedDict(
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            drop=nn.Dropout(0.2),
            fc=nn.Linear(last, num_classes),
        )
        super().__init__(
            nn.Sequential(features),
            nn.Sequential(classifier),
            num_classes=num_classes,
            in_channels=in_channels,
        )
        init_he_normal_(self)


@register
def mobilenet_v2(num_classes: int = 1000, in_channels: int = 3) -> MobileNetV2:
    """MobileNet v2 at full width (table 2)."""
    return MobileNetV2(num_classes=num_classes, in_channels=in_channels)
