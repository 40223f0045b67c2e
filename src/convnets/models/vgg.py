"""VGG: small filters, deeper networks.

Karen Simonyan, Andrew Zisserman: "Very deep convolutional networks for large-scale image
recognition", 2015, table 1. Lecture slides 15 to 20.

The idea: 3x3 convolutions everywhere. Two in a row have a receptive field of 5x5 pixels and three
of 7x7, with fewer weights than one large convolution.

Differences from the paper: He initialisation, since with the paper's N(0, 0.01^2) a network of 16
layers trains only if its first layers come from a trained network of 11. The average pool before
FC6 makes other sizes possible; at 224 pixels it has no effect. The variants with batch norm are
torchvision's, not the paper's.
"""

from collections import OrderedDict

from torch import nn

from convnets.layers import ImageClassifier, init_he_normal_
from convnets.registry import register

# Table 1: widths of the 3x3 convolutions before each of the five max pools.
STAGES = {
    11: ((64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2),  # configuration A
    13: ((64,) * 2, (128,) * 2, (256,) * 2, (512,) * 2, (512,) * 2),  # B
    16: ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3),  # D
    19: ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4),  # E
}


class VGG(ImageClassifier):
    """VGG: (N, in_channels, H, W), H and W at least 32 -> (N, num_classes).

    Args:
        stages: widths of the convolutions before each max pool, such as a row of `STAGES`.
        batch_norm: put a batch norm after each convolution.
    """

    def __init__(
        self,
        stages: tuple[tuple[int, ...], ...],
        batch_norm: bool = False,
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__(
            _features(stages, batch_norm, in_channels),
            _classifier(stages[-1][-1], num_classes),
            num_classes=num_classes,
            in_channels=in_channels,
            smallest_input=2 ** len(stages),
        )
        init_he_normal_(self)


def _features(
    stages: tuple[tuple[int, ...], ...], batch_norm: bool, in_channels: int
) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for stage, widths in enumerate(stages, start=1):
        for number, width in enumerate(widths, start=1):
            name = f"{stage}_{number}"
            layers[f"conv{name}"] = nn.Conv2d(in_channels, width, kernel_size=3, padding=1)
            if batch_norm:
                layers[f"norm{name}"] = nn.BatchNorm2d(width)
            layers[f"relu{name}"] = nn.ReLU(inplace=True)
            in_channels = width
        layers[f"pool{stage}"] = nn.MaxPool2d(kernel_size=2, stride=2)
    return nn.Sequential(layers)


def _classifier(channels: int, num_classes: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            avgpool=nn.AdaptiveAvgPool2d(7),
            flatten=nn.Flatten(),
            fc6=nn.Linear(channels * 7 * 7, 4096),
            relu6=nn.ReLU(inplace=True),
            drop6=nn.Dropout(0.5),
            fc7=nn.Linear(4096, 4096),
            relu7=nn.ReLU(inplace=True),
            drop7=nn.Dropout(0.5),
            fc8=nn.Linear(4096, num_classes),
        )
    )


@register
def vgg11(num_classes: int = 1000, in_channels: int = 3) -> VGG:
    """VGG-11 (table 1, configuration A)."""
    return VGG(STAGES[11], False, num_classes, in_channels)


@register
def vgg11_bn(num_classes: int = 1000, in_channels: int = 3) -> VGG:
    """VGG-11 with batch norm, which is torchvision's and not the paper's."""
    return VGG(STAGES[11], True, num_classes, in_channels)


@register
def vgg13(num_classes: int = 1000, in_channels: int = 3) -> VGG:
    """VGG-13 (table 1, configuration B)."""
    return VGG(STAGES[13], False, num_classes, in_channels)


@register
def vgg13_bn(num_classes: int = 1000, in_channels: int = 3) -> VGG:
    """VGG-13 with batch norm, which is torchvision's and not the paper's."""
    return VGG(STAGES[13], True, num_classes, in_channels)


@register
def vgg16(num_classes: int = 1000, in_channels: int = 3) -> VGG:
    """VGG-16 (table 1, configuration D)."""
    return VGG(STAGES[16], False, num_classes, in_channels)


@register
def vgg16_bn(num_classes: int = 1000, in_channels: int = 3) -> VGG:
    """VGG-16 with batch norm, which is torchvision's and not the paper's."""
    return VGG(STAGES[16], True, num_classes, in_channels)


@register
def vgg19(num_classes: int = 1000, in_channels: int = 3) -> VGG:
    """VGG-19 (table 1, configuration E)."""
    return VGG(STAGES[19], False, num_classes, in_channels)


@register
def vgg19_bn(num_classes: int = 1000, in_channels: int = 3) -> VGG:
    """VGG-19 with batch norm, which is torchvision's and not the paper's."""
    return VGG(STAGES[19], True, num_classes, in_channels)
