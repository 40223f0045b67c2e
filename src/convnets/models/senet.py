"""Squeeze-and-excitation networks: look at the whole image, then weight each channel.

Jie Hu, Li Shen, Gang Sun: "Squeeze-and-excitation networks", 2018, figures 2 and 3, table 1.
Lecture slides 49 and 50.

The idea: each channel is multiplied by a factor from 0 to 1, which depends on the means of all
channels. The layer is in `layers/squeeze_excite.py`; it fits into any block.

Differences from the paper: none where the paper gives details. Otherwise the networks follow the
authors' code, in which the max pool has no padding. SE-ResNet-18 and -34 are not in the paper; as
in timm, whose weights are the public ones, a ReLU comes before the gate of a basic block.
SE-GoogLeNet adds gates to torchvision's GoogLeNet with batch norm, as the paper does to
BN-Inception.
"""

from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from convnets.layers import SqueezeExcite, imagenet_stem
from convnets.models.googlenet import (
    GoogLeNet,
    InceptionModule,
    InceptionWidths,
    bn_stem,
    conv_bn_relu,
)
from convnets.models.resnet import (
    TABLE_1,
    BasicBlock,
    ResidualBlock,
    ResNet,
    paper_bottleneck,
)
from convnets.models.resnext import ResNeXtBlock
from convnets.registry import register

REDUCTION = 16
"""Channels of the block per hidden channel of the gate, the paper's r (section 6.4)."""


def gate(channels: int) -> SqueezeExcite:
    """A gate with the paper's reduction: (N, channels, H, W) -> (N, channels, H, W)."""
    return SqueezeExcite(channels, channels // REDUCTION)


def gated(
    block: Callable[[int, int, int], ResidualBlock],
) -> Callable[[int, int, int], ResidualBlock]:
    """`block` with a gate at the end of its residual branch, before the addition (figure 3).

    Args:
        block: makes a residual block from in_channels, out_channels and stride.

    Returns:
        A function with the arguments of `block` that makes the block with its gate.
    """

    def make(in_channels: int, out_channels: int, stride: int) -> ResidualBlock:
        made = block(in_channels, out_channels, stride)
        made.residual.add_module("gate", gate(out_channels))
        return made

    return make


def basic_block(in_channels: int, out_channels: int, stride: int) -> BasicBlock:
    """ResNet's basic block with a ReLU at the end of its residual branch.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))
    """
    block = BasicBlock(in_channels, out_channels, stride)
    block.residual.add_module("relu2", nn.ReLU(inplace=True))
    return block


def gated_inception(in_channels: int, widths: InceptionWidths) -> nn.Module:
    """An Inception module of GoogLeNet with batch norm, followed by a gate (figure 2).

    (N, in_channels, H, W) -> (N, widths.out_channels, H, W)
    """
    module = InceptionModule(in_channels, widths, conv=conv_bn_relu, large_kernel=3)
    return nn.Sequential(OrderedDict(inception=module, gate=gate(widths.out_channels)))


def stem(in_channels: int, out_channels: int) -> nn.Sequential:
    """ResNet's stem with a max pool without padding, whose last window may extend beyond the edge.

    (N, in_channels, H, W), H and W at least 3 -> (N, out_channels, H', W'): 224 -> 56 pixels.
    """
    layers = imagenet_stem(in_channels, out_channels)
    layers.pool = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
    return layers


class SENet(ResNet):
    """ResNet of gated blocks: (N, in_channels, H, W), H and W at least 3 -> (N, num_classes).

    Args:
        block: makes a block without a gate from in_channels, out_channels and stride.
        depths: number of blocks in each stage.
        widths: number of channels after the stem and after each stage.
    """

    def __init__(
        self,
        block: Callable[[int, int, int], ResidualBlock],
        depths: tuple[int, ...],
        widths: tuple[int, ...],
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__(gated(block), depths, widths, stem, num_classes, in_channels)
        self.smallest_input = 3


@register
def se_resnet18(num_classes: int = 1000, in_channels: int = 3) -> SENet:
    """SE-ResNet-18, which timm has and the paper does not."""
    return SENet(basic_block, *TABLE_1[18], num_classes, in_channels)


@register
def se_resnet34(num_classes: int = 1000, in_channels: int = 3) -> SENet:
    """SE-ResNet-34, which timm has and the paper does not."""
    return SENet(basic_block, *TABLE_1[34], num_classes, in_channels)


@register
def se_resnet50(num_classes: int = 1000, in_channels: int = 3) -> SENet:
    """SE-ResNet-50 (table 1)."""
    return SENet(paper_bottleneck, *TABLE_1[50], num_classes, in_channels)


@register
def se_resnet101(num_classes: int = 1000, in_channels: int = 3) -> SENet:
    """SE-ResNet-101 (table 2)."""
    return SENet(paper_bottleneck, *TABLE_1[101], num_classes, in_channels)


@register
def se_resnet152(num_classes: int = 1000, in_channels: int = 3) -> SENet:
    """SE-ResNet-152 (table 2)."""
    return SENet(paper_bottleneck, *TABLE_1[152], num_classes, in_channels)


@register
def se_resnext50_32x4d(num_classes: int = 1000, in_channels: int = 3) -> SENet:
    """SE-ResNeXt-50 with 32 paths of 4 channels (table 1)."""
    return SENet(ResNeXtBlock, *TABLE_1[50], num_classes, in_channels)


@register
def se_googlenet(num_classes: int = 1000, in_channels: int = 3) -> GoogLeNet:
    """GoogLeNet with batch norm and a gate after each Inception module (figure 2)."""
    return GoogLeNet(bn_stem, gated_inception, 2, 0.2, num_classes, in_channels)
