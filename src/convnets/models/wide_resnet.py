"""Wide residual networks: fewer layers, more channels.

Sergey Zagoruyko, Nikos Komodakis: "Wide residual networks", 2016, tables 1 and 8. Lecture slide
54.

The idea: width has the effect of depth, and a GPU computes few wide layers faster than many narrow
ones.

Differences from the paper: the dropout between the convolutions of a block, an option in the paper,
is left out. WRN-101-2 is torchvision's; the paper's networks for ImageNet have at most 50 layers.
"""

from convnets.layers import imagenet_stem
from convnets.models.preact import PreactBasicBlock, PreactResNet, small_preact_stem
from convnets.models.resnet import TABLE_1, Bottleneck, ResNet
from convnets.registry import register

# Table 1, for images of 32 pixels: channels after conv1, and after conv2 to conv4 with k = 1.
STEM_WIDTH = 16
STAGE_WIDTHS = (16, 32, 64)


def wide_resnet(
    depth: int, factor: int, num_classes: int = 10, in_channels: int = 3
) -> PreactResNet:
    """WRN-depth-factor for small images (table 1): (N, in_channels, H, W) -> (N, num_classes).

    Args:
        depth: number of convolutions, 6n + 4 for n blocks in each of three stages. As in the paper
            it counts those of the three shortcuts that change the width.
        factor: factor of the widths of the stages, the paper's k.
        num_classes: number of classes.
        in_channels: number of channels of the images.

    Raises:
        ValueError: if `depth` is not 6n + 4 for a positive n, or `factor` is below 1.
    """
    blocks, rest = divmod(depth - 4, 6)
    if blocks < 1 or rest:
        raise ValueError(
            f"depth must be 6n + 4 for n blocks in each stage, got {depth}; "
            f"choose {6 * max(blocks, 1) + 4} or {6 * max(blocks + 1, 2) + 4}"
        )
    if factor < 1:
        raise ValueError(f"factor must be at least 1, got {factor}")
    widths = (STEM_WIDTH, *(factor * width for width in STAGE_WIDTHS))
    return PreactResNet(
        PreactBasicBlock, (blocks,) * 3, widths, small_preact_stem, num_classes, in_channels
    )


def wide_bottleneck(
    in_channels: int, out_channels: int, stride: int = 1, factor: int = 2
) -> Bottleneck:
    """ResNet's bottleneck with `factor` times as many channels in its 3x3 convolution.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)). Zagoruyko &
    Komodakis (2016), section 3.3, for ImageNet.
    """
    return Bottleneck(in_channels, out_channels, stride, mid_channels=factor * out_channels // 4)


@register
def wide_resnet50_2(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """WRN-50-2: ResNet-50 with 3x3 convolutions twice as wide (table 8)."""
    return ResNet(wide_bottleneck, *TABLE_1[50], imagenet_stem, num_classes, in_channels)


@register
def wide_resnet101_2(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """WRN-101-2, which torchvision has and the paper does not."""
    return ResNet(wide_bottleneck, *TABLE_1[101], imagenet_stem, num_classes, in_channels)


@register
def wide_resnet16_4(num_classes: int = 10, in_channels: int = 3) -> PreactResNet:
    """WRN-16-4 for CIFAR-10 (table 1)."""
    return wide_resnet(16, 4, num_classes, in_channels)


@register
def wide_resnet28_10(num_classes: int = 10, in_channels: int = 3) -> PreactResNet:
    """WRN-28-10 for CIFAR-10 (table 1)."""
    return wide_resnet(28, 10, num_classes, in_channels)
