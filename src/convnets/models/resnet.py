"""Plain and residual networks: learn what to add to the input of a block.

Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun: "Deep residual learning for image recognition",
2016, tables 1 and 6. Lecture slides 36 to 45.

The idea: a block adds the output of its convolutions to its input, which makes the identity easy to
learn.

Differences from the paper: `resnet50`, `resnet101` and `resnet152` have the stride of a bottleneck
on its 3x3 convolution, as in torchvision, whose weights are the most widely used. `resnet50_v1`,
`resnet101_v1` and `resnet152_v1` have it on the first 1x1 convolution, as in the paper.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from torch.nn.functional import pad

from convnets.layers import (
    ImageClassifier,
    imagenet_stem,
    init_he_normal_,
    pooled_head,
    small_stem,
)
from convnets.registry import register

# Table 1, for ImageNet: blocks in conv2_x to conv5_x; channels after conv1 and after each stage.
BASIC_WIDTHS = (64, 64, 128, 256, 512)
BOTTLENECK_WIDTHS = (64, 256, 512, 1024, 2048)
TABLE_1 = {
    # layers: depths, widths
    18: ((2, 2, 2, 2), BASIC_WIDTHS),
    34: ((3, 4, 6, 3), BASIC_WIDTHS),
    50: ((3, 4, 6, 3), BOTTLENECK_WIDTHS),
    101: ((3, 4, 23, 3), BOTTLENECK_WIDTHS),
    152: ((3, 8, 36, 3), BOTTLENECK_WIDTHS),
}
# Section 4.2 and table 6, for CIFAR-10: 6n + 2 layers make n blocks in each of three stages.
SMALL_WIDTHS = (16, 16, 32, 64)
TABLE_6 = {
    20: ((3, 3, 3), SMALL_WIDTHS),
    32: ((5, 5, 5), SMALL_WIDTHS),
    44: ((7, 7, 7), SMALL_WIDTHS),
    56: ((9, 9, 9), SMALL_WIDTHS),
    110: ((18, 18, 18), SMALL_WIDTHS),
}


class ZeroPadShortcut(nn.Module):
    """Option A: every `stride`-th pixel, with channels of zeros added; it has no parameters.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.extra = out_channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        before = self.extra // 2
        return pad(
            x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.extra - before)
        )

    def extra_repr(self) -> str:
        return f"stride={self.stride}, new_channels={self.extra}"


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Option B: a 1x1 convolution and batch norm.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))
    """
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
            norm=nn.BatchNorm2d(out_channels),
        )
    )


def shortcut(in_channels: int, out_channels: int, stride: int, option: str = "B") -> nn.Module:
    """The shortcut of a block: the identity, padding with zeros, or a projection.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)). He et al.
    (2016), sections 3.3 and 4.1.

    Args:
        in_channels: number of channels of the block's input.
        out_channels: number of channels of the block's output.
        stride: stride of the block.
        option: with "A" and "B", the identity where the shapes agree; elsewhere "A" pads with
            zeros, and "B" projects. "C" projects everywhere.

    Raises:
        ValueError: if `option` is none of these.
    """
    if option not in ("A", "B", "C"):
        raise ValueError(f"shortcut option must be 'A', 'B' or 'C', got {option!r}")
    if option != "C" and stride == 1 and in_channels == out_channels:
        return nn.Identity()
    make = ZeroPadShortcut if option == "A" else projection
    return make(in_channels, out_channels, stride)


def two_convolutions(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """A 3x3 convolution, batch norm, ReLU, a 3x3 convolution and batch norm.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))
    """
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
            norm1=nn.BatchNorm2d(out_channels),
            relu1=nn.ReLU(inplace=True),
            conv2=nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            norm2=nn.BatchNorm2d(out_channels),
        )
    )


class PlainBlock(nn.Module):
    """Two 3x3 convolutions without a shortcut (figure 3, middle): relu(convolutions(x)).

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.convolutions = two_convolutions(in_channels, out_channels, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.convolutions(x))


class ResidualBlock(nn.Module):
    """relu(residual(x) + shortcut(x)), equations 1 and 2.

    Args:
        residual: the layers of the residual branch.
        shortcut: the identity, or a layer with the output shape of `residual`.
    """

    def __init__(self, residual: nn.Sequential, shortcut: nn.Module) -> None:
        super().__init__()
        self.residual = residual
        self.shortcut = shortcut
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.residual(x) + self.shortcut(x))


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions with a shortcut (figure 5, left).

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))

    Args:
        option: kind of the shortcut, "A", "B" or "C"; see `shortcut`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, option: str = "B"
    ) -> None:
        super().__init__(
            two_convolutions(in_channels, out_channels, stride),
            shortcut(in_channels, out_channels, stride, option),
        )


class Bottleneck(ResidualBlock):
    """1x1 to fewer channels, 3x3, 1x1 to more channels, and a shortcut (figure 5, right).

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))

    Args:
        mid_channels: channels of the 3x3 convolution; `None` for a quarter of `out_channels`.
        stride_first: put the stride on the first 1x1 convolution, as in the paper, rather than on
            the 3x3 convolution.
        option: kind of the shortcut, "A", "B" or "C"; see `shortcut`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        mid_channels: int | None = None,
        stride_first: bool = False,
        option: str = "B",
    ) -> None:
        mid_channels = out_channels // 4 if mid_channels is None else mid_channels
        first, second = (stride, 1) if stride_first else (1, stride)
        residual = OrderedDict(
            conv1=nn.Conv2d(in_channels, mid_channels, 1, first, bias=False),
            norm1=nn.BatchNorm2d(mid_channels),
            relu1=nn.ReLU(inplace=True),
            conv2=nn.Conv2d(mid_channels, mid_channels, 3, second, padding=1, bias=False),
            norm2=nn.BatchNorm2d(mid_channels),
            relu2=nn.ReLU(inplace=True),
            conv3=nn.Conv2d(mid_channels, out_channels, 1, bias=False),
            norm3=nn.BatchNorm2d(out_channels),
        )
        super().__init__(
            nn.Sequential(residual), shortcut(in_channels, out_channels, stride, option)
        )


paper_bottleneck = partial(Bottleneck, stride_first=True)
zero_padded_block = partial(BasicBlock, option="A")


class ResNet(ImageClassifier):
    """A stem and stages of blocks: (N, in_channels, H, W) -> (N, num_classes).

    Every stage except the first halves H and W.

    Args:
        block: makes a block from in_channels, out_channels and stride.
        depths: number of blocks in each stage.
        widths: number of channels after the stem and after each stage.
        stem: makes the layers before the first stage from in_channels and out_channels.
    """

    def __init__(
        self,
        block: Callable[[int, int, int], nn.Module],
        depths: tuple[int, ...],
        widths: tuple[int, ...],
        stem: Callable[[int, int], nn.Module] = imagenet_stem,
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        features = OrderedDict(stem=stem(in_channels, widths[0]))
        channels = widths[0]
        for number, (depth, width) in enumerate(zip(depths, widths[1:], strict=True), start=1):
            blocks = [block(channels, width, 1 if number == 1 else 2)]
            blocks += [block(width, width, 1) for _ in range(depth - 1)]
            features[f"stage{number}"] = nn.Sequential(*blocks)
            channels = width
        super().__init__(
            nn.Sequential(features),
            pooled_head(channels, num_classes),
            num_classes=num_classes,
            in_channels=in_channels,
        )
        init_he_normal_(self)


@register
def plain18(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNet-18 without its shortcuts (table 2)."""
    return ResNet(PlainBlock, *TABLE_1[18], imagenet_stem, num_classes, in_channels)


@register
def plain34(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNet-34 without its shortcuts (table 2)."""
    return ResNet(PlainBlock, *TABLE_1[34], imagenet_stem, num_classes, in_channels)


@register
def resnet18(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNet-18 with projection shortcuts (table 1; section 4.1, option B)."""
    return ResNet(BasicBlock, *TABLE_1[18], imagenet_stem, num_classes, in_channels)


@register
def resnet34(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNet-34 with projection shortcuts (table 1; section 4.1, option B)."""
    return ResNet(BasicBlock, *TABLE_1[34], imagenet_stem, num_classes, in_channels)


@register
def resnet50(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNet-50 with strides on the 3x3 convolutions, as torchvision has it (table 1)."""
    return ResNet(Bottleneck, *TABLE_1[50], imagenet_stem, num_classes, in_channels)


@register
def resnet101(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNet-101 with strides on the 3x3 convolutions, as torchvision has it (table 1)."""
    return ResNet(Bottleneck, *TABLE_1[101], imagenet_stem, num_classes, in_channels)


@register
def resnet152(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNet-152 with strides on the 3x3 convolutions, as torchvision has it (table 1)."""
    return ResNet(Bottleneck, *TABLE_1[152], imagenet_stem, num_classes, in_channels)


@register
def resnet50_v1(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNet-50 with strides on the first 1x1 convolutions, as in the paper (table 1)."""
    return ResNet(paper_bottleneck, *TABLE_1[50], imagenet_stem, num_classes, in_channels)


@register
def resnet101_v1(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNet-101 with strides on the first 1x1 convolutions, as in the paper (table 1)."""
    return ResNet(paper_bottleneck, *TABLE_1[101], imagenet_stem, num_classes, in_channels)


@register
def resnet152_v1(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """ResNet-152 with strides on the first 1x1 convolutions, as in the paper (table 1)."""
    return ResNet(paper_bottleneck, *TABLE_1[152], imagenet_stem, num_classes, in_channels)


@register
def plain20(num_classes: int = 10, in_channels: int = 3) -> ResNet:
    """ResNet-20 for CIFAR-10 without its shortcuts (section 4.2)."""
    return ResNet(PlainBlock, *TABLE_6[20], small_stem, num_classes, in_channels)


@register
def plain32(num_classes: int = 10, in_channels: int = 3) -> ResNet:
    """ResNet-32 for CIFAR-10 without its shortcuts (section 4.2)."""
    return ResNet(PlainBlock, *TABLE_6[32], small_stem, num_classes, in_channels)


@register
def plain44(num_classes: int = 10, in_channels: int = 3) -> ResNet:
    """ResNet-44 for CIFAR-10 without its shortcuts (section 4.2)."""
    return ResNet(PlainBlock, *TABLE_6[44], small_stem, num_classes, in_channels)


@register
def plain56(num_classes: int = 10, in_channels: int = 3) -> ResNet:
    """ResNet-56 for CIFAR-10 without its shortcuts (section 4.2)."""
    return ResNet(PlainBlock, *TABLE_6[56], small_stem, num_classes, in_channels)


@register
def resnet20(num_classes: int = 10, in_channels: int = 3) -> ResNet:
    """ResNet-20 for CIFAR-10, with shortcuts that pad with zeros (table 6)."""
    return ResNet(zero_padded_block, *TABLE_6[20], small_stem, num_classes, in_channels)


@register
def resnet32(num_classes: int = 10, in_channels: int = 3) -> ResNet:
    """ResNet-32 for CIFAR-10, with shortcuts that pad with zeros (table 6)."""
    return ResNet(zero_padded_block, *TABLE_6[32], small_stem, num_classes, in_channels)


@register
def resnet44(num_classes: int = 10, in_channels: int = 3) -> ResNet:
    """ResNet-44 for CIFAR-10, with shortcuts that pad with zeros (table 6)."""
    return ResNet(zero_padded_block, *TABLE_6[44], small_stem, num_classes, in_channels)


@register
def resnet56(num_classes: int = 10, in_channels: int = 3) -> ResNet:
    """ResNet-56 for CIFAR-10, with shortcuts that pad with zeros (table 6)."""
    return ResNet(zero_padded_block, *TABLE_6[56], small_stem, num_classes, in_channels)


@register
def resnet110(num_classes: int = 10, in_channels: int = 3) -> ResNet:
    """ResNet-110 for CIFAR-10, with shortcuts that pad with zeros (table 6)."""
    return ResNet(zero_padded_block, *TABLE_6[110], small_stem, num_classes, in_channels)
