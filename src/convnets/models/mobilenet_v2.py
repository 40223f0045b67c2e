"""MobileNet v2: residual blocks with few channels at their ends and many inside.

Mark Sandler, Andrew Howard, Menglong Zhu, Andrey Zhmoginov, Liang-Chieh Chen: "MobileNetV2:
inverted residuals and linear bottlenecks", 2018, tables 1 and 2. It follows MobileNet on lecture
slide 61, and EfficientNet is made of its blocks.

The idea: expand the channels, convolve each separately, and project back without an activation,
since a ReLU on few channels loses information. The shortcut connects the ends with few channels.

Differences from the paper: He initialisation, and the dropout of the released network; the paper
states neither.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from convnets.layers import ImageClassifier, conv_norm_act, init_he_normal_, pooled_head
from convnets.registry import register


@dataclass(frozen=True)
class InvertedResidualStage:
    """Consecutive blocks of one width, a row of table 2."""

    expansion: int
    """Hidden channels of a block per input channel, t."""
    width: int
    """Output channels, c."""
    depth: int
    """Number of blocks, n."""
    stride: int
    """Stride of the first block, s; the others have stride 1."""


# Table 2, between the first convolution and the last.
TABLE_2 = (
    #                     t, c, n, s
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
    """The multiple of `divisor` that is nearest to `width`, but at least 90 percent of it."""
    rounded = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * width else rounded + divisor


class InvertedResidual(nn.Module):
    """1x1 to more channels, depthwise, 1x1 to fewer without activation, and a shortcut (table 1).

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)). The shortcut
    exists only where input and output have the same shape.

    Args:
        expansion: hidden channels per input channel; with 1, the first 1x1 convolution is left out.
        kernel_size: side of the depthwise kernel, in pixels.
        conv: makes a convolution with batch norm and activation; it takes the arguments of
            `convnets.layers.conv_norm_act`.
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
        """The residual branch; shapes are those of the block."""
        return self.project(self.depthwise(self.expand(x)))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.residual(x) if self.has_shortcut else self.residual(x)


class MobileNetV2(ImageClassifier):
    """MobileNet v2: (N, in_channels, H, W) -> (N, num_classes).

    Args:
        width_multiplier: factor of all widths, except that the last one is at least 1280.

    Raises:
        ValueError: if `width_multiplier` is not positive.
    """

    def __init__(
        self, width_multiplier: float = 1.0, num_classes: int = 1000, in_channels: int = 3
    ) -> None:
        if width_multiplier <= 0:
            raise ValueError(f"width_multiplier must be above 0, got {width_multiplier}")
        channels = round_width(32 * width_multiplier)
        features = OrderedDict(stem=conv_norm_relu6(in_channels, channels, 3, stride=2))
        for number, stage in enumerate(TABLE_2, start=1):
            blocks = []
            for index in range(stage.depth):
                width = round_width(stage.width * width_multiplier)
                stride = stage.stride if index == 0 else 1
                blocks.append(InvertedResidual(channels, width, stride, stage.expansion))
                channels = width
            features[f"stage{number}"] = nn.Sequential(*blocks)
        last = round_width(1280 * max(1.0, width_multiplier))
        features["last"] = conv_norm_relu6(channels, last, 1)
        super().__init__(
            nn.Sequential(features),
            pooled_head(last, num_classes, 0.2),
            num_classes=num_classes,
            in_channels=in_channels,
        )
        init_he_normal_(self)


@register
def mobilenet_v2(num_classes: int = 1000, in_channels: int = 3) -> MobileNetV2:
    """MobileNet v2 at full width (table 2)."""
    return MobileNetV2(num_classes=num_classes, in_channels=in_channels)
