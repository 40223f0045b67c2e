"""EfficientNet: scale depth, width and resolution together.

Mingxing Tan, Quoc V. Le: "EfficientNet: rethinking model scaling for convolutional neural
networks", 2019, table 1. Lecture slide 65.

The idea: a search finds a small network of MobileNet v2's blocks with squeeze-and-excitation, and
one rule (compound_scaling.py) makes it deeper, wider and finer at once.

Differences from the paper: B1 to B7 have the coefficients of the authors' code, which differ from
the rule (B7 is 3.1 times as deep as B0; 1.2 ** 7 is 3.6). As in torchvision, padding is symmetric,
and batch norm has PyTorch's constants in B0 to B4 and the authors' constants in B5 to B7.
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
    pooled_head,
)
from convnets.models.compound_scaling import Scaling
from convnets.models.mobilenet_v2 import InvertedResidual, round_width
from convnets.registry import register


@dataclass(frozen=True)
class MBConvStage:
    """Consecutive blocks of one size, a row of table 1."""

    expansion: int
    """Hidden channels of a block per input channel."""
    kernel_size: int
    """Side of the depthwise kernels, in pixels."""
    stride: int
    """Stride of the first block; the others have stride 1."""
    width: int
    """Output channels."""
    depth: int
    """Number of blocks."""


# Table 1: B0, between the first convolution of 32 channels and the last of 1280.
TABLE_1 = (
    # MBConv expansion, k, stride, #channels, #layers
    MBConvStage(1, 3, 1, 16, 1),  # 112
    MBConvStage(6, 3, 2, 24, 2),  # 56
    MBConvStage(6, 5, 2, 40, 2),  # 28
    MBConvStage(6, 3, 2, 80, 3),  # 14
    MBConvStage(6, 5, 1, 112, 3),
    MBConvStage(6, 5, 2, 192, 4),  # 7
    MBConvStage(6, 3, 1, 320, 1),
)
STEM_WIDTH, LAST_WIDTH = 32, 1280

# The authors' code. Resolution is relative to B0's images of 224 pixels.
VARIANTS = {
    # depth, width, resolution; dropout
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
        expansion: hidden channels per input channel; with 1, the first 1x1 convolution is left out.
        kernel_size: side of the depthwise kernel, in pixels.
        drop: probability of leaving out the residual branch in training.
        norm: makes a batch norm from its number of channels.
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
        # A quarter of the block's input channels, not of the gate's.
        self.gate = SqueezeExcite(expansion * in_channels, max(1, in_channels // 4), silu)
        self.drop = StochasticDepth(drop) if self.has_shortcut else nn.Identity()

    def residual(self, x: Tensor) -> Tensor:
        """The residual branch with its gate; shapes are those of the block."""
        return self.drop(self.project(self.gate(self.depthwise(self.expand(x)))))


class EfficientNet(ImageClassifier):
    """EfficientNet: (N, in_channels, H, W) -> (N, num_classes).

    Args:
        scaling: factors of depth and width over table 1; the resolution is not used, since the
            network takes images of any size.
        dropout: probability with which a feature is set to zero in training.
        stochastic_depth: bound of the probability of leaving out a block in training, which grows
            linearly from 0 with the number of the block.
        norm: makes a batch norm from its number of channels.
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
        depths = [math.ceil(stage.depth * scaling.depth) for stage in TABLE_1]
        drops = iter(stochastic_depth * block / sum(depths) for block in range(sum(depths)))
        for number, (stage, depth) in enumerate(zip(TABLE_1, depths, strict=True), start=1):
            width = round_width(stage.width * scaling.width)
            shape = (stage.expansion, stage.kernel_size)
            blocks = []
            for index in range(depth):
                stride = stage.stride if index == 0 else 1
                blocks.append(MBConv(channels, width, stride, *shape, next(drops), norm))
                channels = width
            features[f"stage{number}"] = nn.Sequential(*blocks)
        last = round_width(LAST_WIDTH * scaling.width)
        features["last"] = conv_norm_silu(channels, last, 1, norm=norm)
        super().__init__(
            nn.Sequential(features),
            pooled_head(last, num_classes, dropout),
            num_classes=num_classes,
            in_channels=in_channels,
        )
        init_efficientnet_(self)


def init_efficientnet_(net: nn.Module) -> None:
    """Initialise as the authors' code does, in place.

    Convolutions get weights from N(0, 2 / fan_out), and the fully connected layer weights from
    U(-b, b), where b is num_classes ** -0.5.
    """
    init_he_normal_(net)
    for module in net.modules():
        if isinstance(module, nn.Linear):
            bound = module.out_features**-0.5
            nn.init.uniform_(module.weight, -bound, bound)


def _variant(name: str, num_classes: int, in_channels: int) -> EfficientNet:
    """A network of `VARIANTS`, with the constants of batch norm that torchvision has."""
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
