"""ResNeXt: many narrow paths side by side.

Saining Xie, Ross Girshick, Piotr Dollár, Zhuowen Tu, Kaiming He: "Aggregated residual
transformations for deep neural networks", 2017, tables 1 and 7, figure 3. Lecture slide 55.

The idea: split a bottleneck into paths of the same shape and add their outputs. More paths, which
the paper calls a larger cardinality, improve a network more than depth or width at the same cost,
and a grouped convolution computes all of them at once.

Differences from the paper: none. ResNeXt-101 32x8d is torchvision's size; the paper has 32x4d and
64x4d.
"""

from collections import OrderedDict
from functools import partial

import torch
from torch import Tensor, nn

from convnets.layers import imagenet_stem, small_stem
from convnets.models.resnet import (
    TABLE_1,
    Bottleneck,
    ResNet,
    shortcut,
)
from convnets.registry import register

# Section 5.3: ResNeXt-29 for images of 32 pixels, 3 stages of 3 blocks.
SMALL_DEPTHS = (3, 3, 3)
SMALL_WIDTHS = (64, 256, 512, 1024)


def path_width(out_channels: int, cardinality: int, base_width: int) -> int:
    """Number of channels of one path: `base_width` for every 256 channels of the block's output.

    Raises:
        ValueError: if `cardinality` is below 1, or a path has no channel.
    """
    if cardinality < 1:
        raise ValueError(f"cardinality must be at least 1, got {cardinality}")
    width = base_width * out_channels // 256
    if width < 1:
        raise ValueError(
            f"{base_width} channels a path for every 256 of the block leave none for "
            f"{out_channels}; choose a base_width of at least {-(-256 // out_channels)}"
        )
    return width


class ResNeXtBlock(Bottleneck):
    """Figure 3c: ResNet's bottleneck with a grouped 3x3 convolution, the fastest of three forms.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))

    Args:
        cardinality: number of paths, the paper's C.
        base_width: channels of a path in a block with 256 output channels, the paper's d.

    Raises:
        ValueError: if `cardinality` is below 1, or a path has no channel.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        cardinality: int = 32,
        base_width: int = 4,
    ) -> None:
        mid_channels = cardinality * path_width(out_channels, cardinality, base_width)
        super().__init__(in_channels, out_channels, stride, mid_channels)
        self.residual.conv2 = nn.Conv2d(
            mid_channels, mid_channels, 3, stride, padding=1, groups=cardinality, bias=False
        )


def path(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """The 1x1 and 3x3 convolutions of one path, each with batch norm and ReLU.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))
    """
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(in_channels, out_channels, 1, bias=False),
            norm1=nn.BatchNorm2d(out_channels),
            relu1=nn.ReLU(inplace=True),
            conv2=nn.Conv2d(out_channels, out_channels, 3, stride, padding=1, bias=False),
            norm2=nn.BatchNorm2d(out_channels),
            relu2=nn.ReLU(inplace=True),
        )
    )


class EarlyConcatenation(nn.Module):
    """Figure 3b: concatenate the outputs of the paths, then apply one 1x1 convolution to them.

    Shapes, arguments and errors are those of `ResNeXtBlock`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        cardinality: int = 32,
        base_width: int = 4,
    ) -> None:
        super().__init__()
        width = path_width(out_channels, cardinality, base_width)
        self.paths = nn.ModuleList(path(in_channels, width, stride) for _ in range(cardinality))
        self.conv3 = nn.Conv2d(cardinality * width, out_channels, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(out_channels)
        self.shortcut = shortcut(in_channels, out_channels, stride)
        self.relu3 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        together = self.conv3(torch.cat([path(x) for path in self.paths], dim=1))
        return self.relu3(self.norm3(together) + self.shortcut(x))


class SplitTransformMerge(nn.Module):
    """Figure 3a: each path ends in its own 1x1 convolution, and the outputs are added.

    Shapes, arguments and errors are those of `ResNeXtBlock`. Batch norm follows the addition
    (section 4, footnote).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        cardinality: int = 32,
        base_width: int = 4,
    ) -> None:
        super().__init__()
        width = path_width(out_channels, cardinality, base_width)
        self.paths = nn.ModuleList(path(in_channels, width, stride) for _ in range(cardinality))
        for each in self.paths:
            each.add_module("conv3", nn.Conv2d(width, out_channels, 1, bias=False))
        self.norm3 = nn.BatchNorm2d(out_channels)
        self.shortcut = shortcut(in_channels, out_channels, stride)
        self.relu3 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        together = torch.stack([path(x) for path in self.paths]).sum(dim=0)
        return self.relu3(self.norm3(together) + self.shortcut(x))


def copy_weights(block: ResNeXtBlock, other: EarlyConcatenation | SplitTransformMerge) -> None:
    """Copy the weights and statistics of `block` to `other`, so that both compute the same.

    The first 1x1 convolution and the 3x3 convolution, which has a group for each path, are split
    along their output channels; the last 1x1 of `SplitTransformMerge` along its input channels.

    Raises:
        RuntimeError: if the two blocks do not have the same paths and channels.
    """
    wanted, state = other.state_dict(), {}
    for key, value in block.state_dict().items():
        layer = key.removeprefix("residual.")
        if layer in wanted:
            state[layer] = value
            continue
        count = len(other.paths)
        dim = 1 if layer.startswith("conv3") else 0
        parts = value.chunk(count, dim) if value.ndim else (value,) * count  # a batch counter
        state |= {f"paths.{number}.{layer}": part for number, part in enumerate(parts)}
    other.load_state_dict(state)


@register
def resnext50_32x4d(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNeXt-50 with 32 paths of 4 channels (table 1)."""
    return ResNet(ResNeXtBlock, *TABLE_1[50], imagenet_stem, num_classes, in_channels)


@register
def resnext101_32x8d(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNeXt-101 with 32 paths of 8 channels, which torchvision has and the paper does not."""
    block = partial(ResNeXtBlock, base_width=8)
    return ResNet(block, *TABLE_1[101], imagenet_stem, num_classes, in_channels)


@register
def resnext29_8x64d(num_classes: int = 10, in_channels: int = 3) -> ResNet:
    """ResNeXt-29 with 8 paths of 64 channels for CIFAR-10 (section 5.3 and table 7)."""
    block = partial(ResNeXtBlock, cardinality=8, base_width=64)
    return ResNet(block, SMALL_DEPTHS, SMALL_WIDTHS, small_stem, num_classes, in_channels)
