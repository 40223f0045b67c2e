"""MobileNet: a convolution split into a depthwise and a pointwise one.

Andrew G. Howard, Menglong Zhu, Bo Chen, Dmitry Kalenichenko, Weijun Wang, Tobias Weyand, Marco
Andreetto, Hartwig Adam: "MobileNets: efficient convolutional neural networks for mobile vision
applications", 2017, table 1, sections 3.3 and 3.4. Lecture slide 61.

The idea: one 3x3 filter for each channel, then a 1x1 convolution across the channels. With N output
channels this costs 1 / N + 1 / 9 of a 3x3 convolution.

Differences from the paper: the last depthwise convolution has stride 1, since table 1 gives stride
2 but keeps 7x7 pixels. The initialisation is He's, since the paper does not state one. The
activation is ReLU, as in the paper; the public weights of TensorFlow and timm are for ReLU6.
"""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn.functional import interpolate

from convnets.layers import ImageClassifier, conv_norm_act, init_he_normal_, pooled_head
from convnets.registry import register

# Table 1, grouped by size: number of depthwise separable convolutions, width, stride of the first.
STAGES = (
    # depth, width, stride
    (1, 64, 1),  # 112
    (2, 128, 2),  # 56
    (2, 256, 2),  # 28
    (6, 512, 2),  # 14
    (2, 1024, 2),  # 7
)


def depthwise_separable(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """A depthwise 3x3 and a pointwise 1x1 convolution, each with batch norm and ReLU.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)). Howard et al.
    (2017), figure 3, right.
    """
    return nn.Sequential(
        OrderedDict(
            depthwise=conv_norm_act(in_channels, in_channels, 3, stride, groups=in_channels),
            pointwise=conv_norm_act(in_channels, out_channels, 1),
        )
    )


class Resize(nn.Module):
    """Resizes images: (N, C, H, W) -> (N, C, round(factor * H), round(factor * W))."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        size = [max(1, round(self.factor * side)) for side in x.shape[-2:]]
        return interpolate(x, size, mode="bilinear", antialias=True)

    def extra_repr(self) -> str:
        return f"factor={self.factor:.3g}"


class MobileNet(ImageClassifier):
    """MobileNet v1: (N, in_channels, H, W) -> (N, num_classes).

    Args:
        width_multiplier: factor of all widths, the paper's alpha: 1, 0.75, 0.5 or 0.25.
        resolution_multiplier: factor of the image's sides, the paper's rho: with 6/7, an image of
            224 pixels is resized to 192. The default does not resize; the paper sets rho by the
            size of the images that the network is given.

    Raises:
        ValueError: if `width_multiplier` leaves no channel, or `resolution_multiplier` is not
            positive.
    """

    def __init__(
        self,
        width_multiplier: float = 1.0,
        resolution_multiplier: float = 1.0,
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        if int(32 * width_multiplier) < 1 or resolution_multiplier <= 0:
            raise ValueError(
                "width_multiplier must be at least 1/32 and resolution_multiplier above 0, got "
                f"{width_multiplier} and {resolution_multiplier}"
            )
        features: OrderedDict[str, nn.Module] = OrderedDict()
        if resolution_multiplier != 1:
            features["resize"] = Resize(resolution_multiplier)
        channels = int(32 * width_multiplier)
        features["stem"] = conv_norm_act(in_channels, channels, 3, stride=2)  # 224 -> 112
        for number, (depth, width, stride) in enumerate(STAGES, start=1):
            layers = []
            for index in range(depth):
                out_channels = int(width * width_multiplier)
                layers.append(
                    depthwise_separable(channels, out_channels, stride if index == 0 else 1)
                )
                channels = out_channels
            features[f"stage{number}"] = nn.Sequential(*layers)
        super().__init__(
            nn.Sequential(features),
            pooled_head(channels, num_classes),
            num_classes=num_classes,
            in_channels=in_channels,
        )
        init_he_normal_(self)


@register
def mobilenet_v1(num_classes: int = 1000, in_channels: int = 3) -> MobileNet:
    """MobileNet v1 at full width (table 1)."""
    return MobileNet(num_classes=num_classes, in_channels=in_channels)
