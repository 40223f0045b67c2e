"""MobileNet: a convolution taken apart into depthwise and pointwise.

Andrew G. Howard, Menglong Zhu, Bo Chen, Dmitry Kalenichenko, Weijun Wang, Tobias Weyand, Marco
Andreetto, Hartwig Adam: "MobileNets: efficient convolutional neural networks for mobile vision
applications", 2017, table 1, sections 3.3 and 3.4. Lecture slide 61.

The idea: one 3x3 filter for each map, then a 1x1 convolution across the maps: for N maps out, a
convolution's cost times 1 / N + 1 / 9.

Differences from the paper: the last depthwise convolution has stride 1, since table 1 says stride 2
but keeps 7x7 pixels. He initialisation, since the paper states none. The ReLU is the paper's;
public weights of TensorFlow and timm are for ReLU6.
"""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn.functional import interpolate

from convnets.layers import ImageClassifier, conv_norm_act, init_he_normal_
from convnets.registry import register

# Table 1, grouped by size: depthwise separable layers, their width, stride of the first.
STAGES = (
    # depth, width, stride
    (1, 64, 1),  # 112
    (2, 128, 2),  # 56
    (2, 256, 2),  # 28
    (6, 512, 2),  # 14
    (2, 1024, 2),  # 7
)


def depthwise_separable(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Depthwise 3x3, then pointwise 1x1, each with batch norm and ReLU (figure 3, right).

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))
    """
    return nn.Sequential(
        OrderedDict(
            depthwise=conv_norm_act(in_channels, in_channels, 3, stride, groups=in_channels),
            pointwise=conv_norm_act(in_channels, out_channels, 1),
        )
    )


class Resize(nn.Module):
    """A smaller or larger image: (N, C, H, W) -> (N, C, round(factor * H), round(factor * W))."""

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
        width_multiplier: factor for all widths, the paper's alpha: 1, 0.75, 0.5 or 0.25.
        resolution_multiplier: factor for the sides of the image, the paper's rho: 6/7 makes 192
            pixels of 224. With 1 the network takes images as they are, which is how the paper sets
            rho: by the size of its input.

    Raises:
        ValueError: a multiplier that leaves nothing.
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
        classifier = OrderedDict(
            pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(channels, num_classes)
        )
        super().__init__(
            nn.Sequential(features),
            nn.Sequential(classifier),
            num_classes=num_classes,
            in_channels=in_channels,
        )
        init_he_normal_(self)


@register
def mobilenet_v1(num_classes: int = 1000, in_channels: int = 3) -> MobileNet:
    """MobileNet v1 at full width (table 1)."""
    return MobileNet(num_classes=num_classes, in_channels=in_channels)
