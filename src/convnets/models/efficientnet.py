"""EfficientNet: scale depth, width and resolution together.

Mingxing Tan, Quoc V. Le: "EfficientNet: rethinking model scaling for convolutional neural
networks", 2019, table 1. Lecture slide 65.

The idea: a search finds a small network of MobileNet v2's blocks with squeeze-and-excitation, and
one rule (compound_scaling.py) makes it larger in all respects at once.

Differences from the paper: B1 to B7 have the coefficients of the authors' code, which the rule
meets only roughly (B7 is 3.1 times as deep as B0; 1.2 ** 7 is 3.6). As in torchvision's weights,
padding is symmetric, and batch norm has PyTorch's constants up to B4; B5 to B7 have the authors'.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from convnets.layers import (
    ImageClassifier,
    SqueezeExcite,
    StochasticDepth,
    conv_norm_act,
    init_he_normal_,
)
from convnets.models.compound_scaling import Scaling
from convnets.models.mobilenet_v2 import InvertedResidual, round_width
from convnets.registry import register


@dataclass(frozen=True)
class MBConvStage:
    """Blocks of one size, a line of table 1."""

    expansion: int
    kernel_size: int
    stride: int
    """Of the first block."""
    width: int
    depth: int


# Table 1: B0, between the first convolution of 32 channels and the last of 1280.
TABLE_1 = (
    # MBConv, k, stride, #channels, #layers
    MBConvStage(1, 3, 1, 16, 1),  # 112
    MBConvStage(6, 3, 2, 24, 2),  # 56
    MBConvStage(6, 5, 2, 40, 2),  # 28
    MBConvStage(6, 3, 2, 80, 3),  # 14
    MBConvStage(6, 5, 1, 112, 3),
    MBConvStage(6, 5, 2, 192, 4),  # 7
    MBConvStage(6, 3, 1, 320, 1),
)
STEM_WIDTH, LAST_WIDTH = 32, 1280

# The authors' code; resolution is the side of the image.
VARIANTS = {
    #      depth, width, resolution, dropout
    "b0": (Scaling(1.0, 1.0, 224 / 224), 0.2),
    "b1": (Scaling(1.1, 1.0, 240 / 224), 0.2),
    "b2": (Scaling(1.2, 1.1, 260 / 224), 0.3),
    "b3": (Scaling(1.4, 1.2, 300 / 224), 0.3),
    "b4": (Scaling(1.8, 1.4, 380 / 224), 0.4),
    "b5": (Scaling(2.2, 1.6, 456 / 224), 0.4),
    "b6": (Scaling(2.6, 1.8, 528 / 224), 0.5),
    "b7": (Scaling(3.1, 2.0, 600 / 224), 0.5),
}
BASE = Scaling()
TENSORFLOW_NORM = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)


silu = partial(nn.SiLU, inplace=True)
conv_norm_silu = partial(conv_norm_act, activation=silu)


class MBConv(InvertedResidual):
    """MobileNet v2's block with SiLU, squeeze-and-excitation and stochastic depth.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))

    Args:
        drop: probability of leaving out the residual in training.
        norm: makes a batch norm from its channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        expansion: int = 6,
        kernel_size: int = 3,
        drop: float = 0.0,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
    ) -> None:
        conv = partial(conv_norm_silu, norm=norm)
        super().__init__(in_channels, out_channels, stride, expansion, kernel_size, conv)
        # A quarter of the block's input, not of what the layer sees.
        self.gate = SqueezeExcite(expansion * in_channels, max(1, in_channels // 4), silu)
        self.drop = StochasticDepth(drop) if self.has_shortcut else nn.Identity()

    def residual(self, x: Tensor) -> Tensor:
        return self.drop(self.project(self.gate(self.depthwise(self.expand(x)))))


class EfficientNet(ImageClassifier):
    """EfficientNet: (N, in_channels, H, W) -> (N, num_classes).

    Args:
        scaling: depth and width relative to table 1. The resolution is that of the images.
        dropout: part of the features that dropout sets to zero.
        stochastic_depth: probability of leaving out a last block; it grows linearly from 0.
        norm: makes a batch norm from its channels.
    """

    def __init__(
        self,
        scaling: Scaling = BASE,
        dropout: float = 0.2,
        stochastic_depth: float = 0.2,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        channels = round_width(STEM_WIDTH * scaling.width)
        features = OrderedDict(stem=conv_norm_silu(in_channels, channels, 3, stride=2, norm=norm))
        depths = [math.ceil(row.depth * scaling.depth) for row in TABLE_1]
        drops = iter(stochastic_depth * block / sum(depths) for block in range(sum(depths)))
        for number, (row, depth) in enumerate(zip(TABLE_1, depths, strict=True), start=1):
            width = round_width(row.width * scaling.width)
            blocks = []
            for index in range(depth):
                stride = row.stride if index == 0 else 1
                blocks.append(
                    MBConv(
                        channels, width, stride, row.expansion, row.kernel_size, next(drops), norm
                    )
                )
                channels = width
            features[f"stage{number}"] = nn.Sequential(*blocks)
        last = round_width(LAST_WIDTH * scaling.width)
        features["last"] = conv_norm_silu(channels, last, 1, norm=norm)
        classifier = OrderedDict(
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            drop=nn.Dropout(dropout),
            fc=nn.Linear(last, num_classes),
        )
        super().__init__(
            nn.Sequential(features),
            nn.Sequential(classifier),
            num_classes=num_classes,
            in_channels=in_channels,
        )
        init_efficientnet_(self)


def init_efficientnet_(net: nn.Module) -> None:
    """As the authors' code: convolutions N(0, 2 / fan_out), linear U(-b, b), b = classes^-0.5."""
    init_he_normal_(net)
    for module in net.modules():
        if isinstance(module, nn.Linear):
            bound = module.out_features**-0.5
            nn.init.uniform_(module.weight, -bound, bound)


def _variant(name: str, num_classes: int, in_channels: int) -> EfficientNet:
    """B0 to B7, with batch norm as in torchvision's weights."""
    scaling, dropout = VARIANTS[name]
    norm = TENSORFLOW_NORM if name in ("b5", "b6", "b7") else nn.BatchNorm2d
    return EfficientNet(
        scaling, dropout, norm=norm, num_classes=num_classes, in_channels=in_channels
    )


@register
def efficientnet_b0(num_classes: int = 1000, in_channels: int = 3) -> EfficientNet:
    """EfficientNet-B0 (table 1)."""
    return _variant("b0", num_classes, in_channels)


@register
def efficientnet_b1(num_classes: int = 1000, in_channels: int = 3) -> EfficientNet:
    """EfficientNet-B1 (table 2)."""
    return _variant("b1", num_classes, in_channels)


@register
def efficientnet_b2(num_classes: int = 1000, in_channels: int = 3) -> EfficientNet:
    """EfficientNet-B2 (table 2)."""
    return _variant("b2", num_classes, in_channels)


@register
def efficientnet_b3(num_classes: int = 1000, in_channels: int = 3) -> EfficientNet:
    """EfficientNet-B3 (table 2)."""
    return _variant("b3", num_classes, in_channels)


@register
def efficientnet_b4(num_classes: int = 1000, in_channels: int = 3) -> EfficientNet:
    """EfficientNet-B4 (table 2)."""
    return _variant("b4", num_classes, in_channels)


@register
def efficientnet_b5(num_classes: int = 1000, in_channels: int = 3) -> EfficientNet:
    """EfficientNet-B5 (table 2)."""
    return _variant("b5", num_classes, in_channels)


@register
def efficientnet_b6(num_classes: int = 1000, in_channels: int = 3) -> EfficientNet:
    """EfficientNet-B6 (table 2)."""
    return _variant("b6", num_classes, in_channels)


@register
def efficientnet_b7(num_classes: int = 1000, in_channels: int = 3) -> EfficientNet:
    """EfficientNet-B7 (table 2)."""
    return _variant("b7", num_classes, in_channels)
