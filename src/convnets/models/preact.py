"""Residual networks with pre-activation: shortcuts are identities from one addition to the next.

Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun: "Identity mappings in deep residual networks",
2016, figures 1b and 4e, section 4.1. It improves on lecture slides 40 to 45.

The idea: batch norm and ReLU come before each convolution. So the output of a block reaches all
later blocks, and its gradient all earlier blocks, unchanged.

Differences from the paper: the first activation comes after the max pool, not before it; the stride
of a bottleneck is on its 3x3 convolution. Both are as in timm, whose weights are the public ones.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from convnets.layers import imagenet_stem, small_stem
from convnets.models.resnet import TABLE_1, ResNet
from convnets.registry import register


class PreactBlock(nn.Module):
    """x + residual(relu(norm(x))).

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))

    Where the shape changes, a 1x1 convolution of the activated input replaces x (section 4.1: the
    activation comes before the two paths separate).

    Args:
        residual: the layers after the first activation.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, residual: nn.Sequential
    ) -> None:
        super().__init__()
        self.activation = nn.Sequential(
            OrderedDict(norm1=nn.BatchNorm2d(in_channels), relu1=nn.ReLU(inplace=True))
        )
        self.residual = residual
        self.shortcut: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = self.activation(x)
        return self.residual(active) + (x if self.shortcut is None else self.shortcut(active))


class PreactBasicBlock(PreactBlock):
    """Two 3x3 convolutions, each after batch norm and ReLU; shapes are those of `PreactBlock`."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        residual = OrderedDict(
            conv1=nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
            norm2=nn.BatchNorm2d(out_channels),
            relu2=nn.ReLU(inplace=True),
            conv2=nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        )
        super().__init__(in_channels, out_channels, stride, nn.Sequential(residual))


class PreactBottleneck(PreactBlock):
    """1x1 to a quarter of the channels, 3x3 and 1x1, each after batch norm and ReLU.

    Shapes are those of `PreactBlock`.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        mid_channels = out_channels // 4
        residual = OrderedDict(
            conv1=nn.Conv2d(in_channels, mid_channels, 1, bias=False),
            norm2=nn.BatchNorm2d(mid_channels),
            relu2=nn.ReLU(inplace=True),
            conv2=nn.Conv2d(mid_channels, mid_channels, 3, stride, padding=1, bias=False),
            norm3=nn.BatchNorm2d(mid_channels),
            relu3=nn.ReLU(inplace=True),
            conv3=nn.Conv2d(mid_channels, out_channels, 1, bias=False),
        )
        super().__init__(in_channels, out_channels, stride, nn.Sequential(residual))


# The first block begins with batch norm and ReLU.
preact_stem = partial(imagenet_stem, norm_relu=False)
small_preact_stem = partial(small_stem, norm_relu=False)


class PreactResNet(ResNet):
    """ResNet with batch norm and ReLU after the last addition (section 4.1, last paragraph).

    (N, in_channels, H, W) -> (N, num_classes). The arguments are those of `ResNet`.
    """

    def __init__(
        self,
        block: Callable[[int, int, int], nn.Module],
        depths: tuple[int, ...],
        widths: tuple[int, ...],
        stem: Callable[[int, int], nn.Module] = preact_stem,
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__(block, depths, widths, stem, num_classes, in_channels)
        self.features.add_module("norm", nn.BatchNorm2d(widths[-1]))
        self.features.add_module("relu", nn.ReLU(inplace=True))


@register
def preact_resnet18(num_classes: int = 1000, in_channels: int = 3) -> PreactResNet:
    """ResNet-18 with pre-activation (figures 1b and 4e)."""
    return PreactResNet(PreactBasicBlock, *TABLE_1[18], preact_stem, num_classes, in_channels)


@register
def preact_resnet34(num_classes: int = 1000, in_channels: int = 3) -> PreactResNet:
    """ResNet-34 with pre-activation (figures 1b and 4e)."""
    return PreactResNet(PreactBasicBlock, *TABLE_1[34], preact_stem, num_classes, in_channels)


@register
def preact_resnet50(num_classes: int = 1000, in_channels: int = 3) -> PreactResNet:
    """ResNet-50 with pre-activation (figures 1b and 4e)."""
    return PreactResNet(PreactBottleneck, *TABLE_1[50], preact_stem, num_classes, in_channels)


@register
def preact_resnet101(num_classes: int = 1000, in_channels: int = 3) -> PreactResNet:
    """ResNet-101 with pre-activation (figures 1b and 4e)."""
    return PreactResNet(PreactBottleneck, *TABLE_1[101], preact_stem, num_classes, in_channels)


@register
def preact_resnet152(num_classes: int = 1000, in_channels: int = 3) -> PreactResNet:
    """ResNet-152 with pre-activation (figures 1b and 4e)."""
    return PreactResNet(PreactBottleneck, *TABLE_1[152], preact_stem, num_classes, in_channels)
