"""GoogLeNet: look at several scales at once, and reduce channels before expensive convolutions.

Christian Szegedy, Wei Liu, Yangqing Jia, Pierre Sermanet, Scott Reed, Dragomir Anguelov, Dumitru
Erhan, Vincent Vanhoucke, Andrew Rabinovich: "Going deeper with convolutions", 2015, table 1 and
figures 2 and 3. Lecture slides 22 to 35.

The idea: 1x1, 3x3 and 5x5 convolutions and a pool side by side, with 1x1 convolutions that keep
them cheap; at the end, the mean of each feature map in place of large fully connected layers.

Differences from the paper: He initialisation and the constants of AlexNet's response normalisation,
since the paper states neither. The last average pool makes other sizes possible; at 224 pixels it
is the paper's. `googlenet_bn` is torchvision's network: batch norm, 3x3 convolutions where the
paper has 5x5, a last max pool of 2x2, less dropout. Its published weights expect pixels from -1 to
1. The auxiliary classifiers, which are used only in training, are in `googlenet_auxiliary.py`.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from convnets.layers import (
    ImageClassifier,
    LocalResponseNorm,
    conv_norm_relu,
    init_he_normal_,
    pooled_head,
)
from convnets.registry import register


@dataclass(frozen=True)
class InceptionWidths:
    """Output channels of each convolution of an Inception module, a row of table 1."""

    conv1x1: int
    reduce3x3: int
    conv3x3: int
    reduce5x5: int
    conv5x5: int
    pool_projection: int

    @property
    def out_channels(self) -> int:
        """Number of channels of the concatenated branches."""
        return self.conv1x1 + self.conv3x3 + self.conv5x5 + self.pool_projection


# Table 1. The rows before the first module are `paper_stem`; a max pool follows 3b and 4e.
TABLE_1 = {
    # #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj
    "3a": InceptionWidths(64, 96, 128, 16, 32, 32),
    "3b": InceptionWidths(128, 128, 192, 32, 96, 64),
    "4a": InceptionWidths(192, 96, 208, 16, 48, 64),
    "4b": InceptionWidths(160, 112, 224, 24, 64, 64),
    "4c": InceptionWidths(128, 128, 256, 24, 64, 64),
    "4d": InceptionWidths(112, 144, 288, 32, 64, 64),
    "4e": InceptionWidths(256, 160, 320, 32, 128, 128),
    "5a": InceptionWidths(256, 160, 320, 32, 128, 128),
    "5b": InceptionWidths(384, 192, 384, 48, 128, 128),
}


def conv_relu(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> nn.Module:
    """A convolution with bias and ReLU.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)) for odd kernels.
    """
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(
                in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2
            ),
            relu=nn.ReLU(inplace=True),
        )
    )


conv_bn_relu = partial(conv_norm_relu, eps=1e-3)
Convolution = Callable[[int, int, int], nn.Module]
"""Makes a convolution and the layers after it from in_channels, out_channels and kernel_size."""


class NaiveInception(nn.Module):
    """The Inception module without 1x1 reductions (figure 2a), which the networks do not use.

    (N, in_channels, H, W) -> (N, conv1x1 + conv3x3 + conv5x5 + in_channels, H, W)

    Args:
        conv1x1: output channels of the 1x1 convolution.
        conv3x3: output channels of the 3x3 convolution.
        conv5x5: output channels of the 5x5 convolution.
    """

    def __init__(self, in_channels: int, conv1x1: int, conv3x3: int, conv5x5: int) -> None:
        super().__init__()
        self.conv1x1 = conv_relu(in_channels, conv1x1, 1)
        self.conv3x3 = conv_relu(in_channels, conv3x3, 3)
        self.conv5x5 = conv_relu(in_channels, conv5x5, 5)
        self.pool = nn.MaxPool2d(kernel_size=3, stride=1, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.conv1x1(x), self.conv3x3(x), self.conv5x5(x), self.pool(x)], dim=1)


class InceptionModule(nn.Module):
    """The Inception module with 1x1 reductions (figure 2b).

    (N, in_channels, H, W) -> (N, widths.out_channels, H, W)

    Args:
        widths: output channels of the convolutions, such as a value of `TABLE_1`.
        conv: makes a convolution and the layers after it.
        large_kernel: side of the largest kernel in pixels, 5 in the paper.
    """

    def __init__(
        self,
        in_channels: int,
        widths: InceptionWidths,
        conv: Convolution = conv_relu,
        large_kernel: int = 5,
    ) -> None:
        super().__init__()
        self.branch1x1 = conv(in_channels, widths.conv1x1, 1)
        self.branch3x3 = nn.Sequential(
            OrderedDict(
                reduce=conv(in_channels, widths.reduce3x3, 1),
                conv=conv(widths.reduce3x3, widths.conv3x3, 3),
            )
        )
        self.branch5x5 = nn.Sequential(
            OrderedDict(
                reduce=conv(in_channels, widths.reduce5x5, 1),
                conv=conv(widths.reduce5x5, widths.conv5x5, large_kernel),
            )
        )
        self.branch_pool = nn.Sequential(
            OrderedDict(
                pool=nn.MaxPool2d(kernel_size=3, stride=1, padding=1),
                project=conv(in_channels, widths.pool_projection, 1),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        branches = (self.branch1x1, self.branch3x3, self.branch5x5, self.branch_pool)
        return torch.cat([branch(x) for branch in branches], dim=1)


def max_pool(kernel_size: int = 3) -> nn.Module:
    """A max pool of stride 2, whose last window may extend beyond the edge.

    (N, C, H, W) -> (N, C, H // 2, W // 2) with a kernel size of 3, and (N, C, ceil(H / 2),
    ceil(W / 2)) with 2: 112 -> 56 -> 28 -> 14 -> 7 pixels.
    """
    return nn.MaxPool2d(kernel_size, stride=2, ceil_mode=True)


def paper_stem(in_channels: int) -> nn.Module:
    """The rows of table 1 before the first module, with the response normalisation of figure 3.

    (N, in_channels, 224, 224) -> (N, 192, 28, 28)
    """
    return nn.Sequential(
        OrderedDict(
            conv1=conv_relu(in_channels, 64, 7, stride=2),  # 112
            pool1=max_pool(),  # 56
            norm1=LocalResponseNorm(),
            reduce2=conv_relu(64, 64, 1),
            conv2=conv_relu(64, 192, 3),
            norm2=LocalResponseNorm(),
            pool2=max_pool(),  # 28
        )
    )


def bn_stem(in_channels: int) -> nn.Module:
    """`paper_stem` with batch norm after each convolution and without response normalisation."""
    return nn.Sequential(
        OrderedDict(
            conv1=conv_bn_relu(in_channels, 64, 7, stride=2),
            pool1=max_pool(),
            reduce2=conv_bn_relu(64, 64, 1),
            conv2=conv_bn_relu(64, 192, 3),
            pool2=max_pool(),
        )
    )


class GoogLeNet(ImageClassifier):
    """GoogLeNet: (N, in_channels, H, W) -> (N, num_classes).

    Args:
        stem: makes the layers before the first module from in_channels.
        module: makes an Inception module from in_channels and a value of `TABLE_1`.
        last_pool: kernel size of the last max pool in pixels, 3 in the paper.
        dropout: probability with which a feature is set to zero in training.
    """

    def __init__(
        self,
        stem: Callable[[int], nn.Module] = paper_stem,
        module: Callable[[int, InceptionWidths], nn.Module] = InceptionModule,
        last_pool: int = 3,
        dropout: float = 0.4,
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        features = OrderedDict(stem=stem(in_channels))
        channels = 192
        for name, widths in TABLE_1.items():
            features[f"inception{name}"] = module(channels, widths)  # 28, 14, 7 in stages 3, 4, 5
            channels = widths.out_channels
            if name == "3b":
                features["pool3"] = max_pool()
            elif name == "4e":
                features["pool4"] = max_pool(last_pool)
        super().__init__(
            nn.Sequential(features),
            pooled_head(channels, num_classes, dropout),
            num_classes=num_classes,
            in_channels=in_channels,
            # The last pool needs last_pool - 1 pixels; four layers before it have stride 2.
            smallest_input=16 * (last_pool - 1) - 1,
        )
        init_googlenet_(self)


def init_googlenet_(net: nn.Module) -> None:
    """Initialise convolutions to N(0, 2 / fan_in) in place (He et al., 2015, equation 10).

    Fully connected layers get weights from N(0, 0.01^2); biases are 0.
    """
    init_he_normal_(net)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


@register
def googlenet(num_classes: int = 1000, in_channels: int = 3) -> GoogLeNet:
    """GoogLeNet (table 1)."""
    return GoogLeNet(num_classes=num_classes, in_channels=in_channels)


@register
def googlenet_bn(num_classes: int = 1000, in_channels: int = 3) -> GoogLeNet:
    """GoogLeNet with batch norm, which is torchvision's `googlenet`."""
    module = partial(InceptionModule, conv=conv_bn_relu, large_kernel=3)
    return GoogLeNet(bn_stem, module, 2, 0.2, num_classes, in_channels)
