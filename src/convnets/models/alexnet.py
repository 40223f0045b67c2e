"""AlexNet: the first convolutional network to win ILSVRC.

Alex Krizhevsky, Ilya Sutskever, Geoffrey E. Hinton: "ImageNet classification with deep
convolutional neural networks", 2012, section 3 and figure 2. Lecture slides 2 to 8.

The idea: a deep network with ReLUs, trained on two GPUs, with dropout against overfitting.

Differences from the paper: the paper says that images have 224x224 pixels, but the sizes of its
feature maps follow from 227x227 (slide 5). The average pool before FC6 makes other sizes possible;
at 227 pixels it has no effect.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from convnets.layers import ImageClassifier, LocalResponseNorm, init_normal_
from convnets.registry import register


@dataclass(frozen=True)
class ConvRow:
    """A convolution, its ReLU and the layers after it."""

    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    then: tuple[tuple[str, Callable[[], nn.Module]], ...] = ()
    """Name and constructor of each layer between the ReLU and the next convolution."""


NORM = ("norm", LocalResponseNorm)
POOL = ("pool", partial(nn.MaxPool2d, kernel_size=3, stride=2))
# Figure 2: CONV2, CONV4 and CONV5 read only the feature maps on their own GPU: two groups.
TWO_GROUPS = (
    # channels, kernel, stride, padding, groups, then
    ConvRow(96, 11, 4, 0, 1, (NORM, POOL)),
    ConvRow(256, 5, 1, 2, 2, (NORM, POOL)),
    ConvRow(384, 3, 1, 1, 1),
    ConvRow(384, 3, 1, 1, 2),
    ConvRow(256, 3, 1, 1, 2, (POOL,)),
)
# Krizhevsky: "One weird trick for parallelizing convolutional neural networks", 2014, as in
# torchvision: one tower, without normalisation, for 224 pixels with padding.
ONE_TOWER = (
    ConvRow(64, 11, 4, 2, then=(POOL,)),
    ConvRow(192, 5, 1, 2, then=(POOL,)),
    ConvRow(384, 3, 1, 1),
    ConvRow(256, 3, 1, 1),
    ConvRow(256, 3, 1, 1, then=(POOL,)),
)


class AlexNet(ImageClassifier):
    """AlexNet: (N, in_channels, H, W) -> (N, num_classes).

    Args:
        rows: the five convolutions, such as `TWO_GROUPS` or `ONE_TOWER`.
        smallest_input: side of the smallest image that reaches the last pool, in pixels.
        dropout_first: dropout before FC6 and FC7, as in torchvision, rather than after them, as in
            the paper.
    """

    def __init__(
        self,
        rows: tuple[ConvRow, ...],
        smallest_input: int,
        dropout_first: bool = False,
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__(
            _features(rows, in_channels),
            _classifier(rows[-1].out_channels, num_classes, dropout_first),
            num_classes=num_classes,
            in_channels=in_channels,
            smallest_input=smallest_input,
        )
        init_alexnet_(self)


def _features(rows: tuple[ConvRow, ...], in_channels: int) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    made: Counter[str] = Counter()
    for number, row in enumerate(rows, start=1):
        layers[f"conv{number}"] = nn.Conv2d(
            in_channels,
            row.out_channels,
            row.kernel_size,
            row.stride,
            row.padding,
            groups=row.groups,
        )
        layers[f"relu{number}"] = nn.ReLU(inplace=True)
        for name, make in row.then:
            made[name] += 1
            layers[f"{name}{made[name]}"] = make()
        in_channels = row.out_channels
    return nn.Sequential(layers)


def _classifier(channels: int, num_classes: int, dropout_first: bool) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        avgpool=nn.AdaptiveAvgPool2d(6), flatten=nn.Flatten()
    )
    for number, width in ((6, channels * 6 * 6), (7, 4096)):
        if dropout_first:
            layers[f"drop{number}"] = nn.Dropout(0.5)
        layers[f"fc{number}"] = nn.Linear(width, 4096)
        layers[f"relu{number}"] = nn.ReLU(inplace=True)
        if not dropout_first:
            layers[f"drop{number}"] = nn.Dropout(0.5)
    layers["fc8"] = nn.Linear(4096, num_classes)
    return nn.Sequential(layers)


def init_alexnet_(net: AlexNet) -> None:
    """Set weights to N(0, 0.01^2), and biases to 1 in CONV2, CONV4, CONV5, FC6 and FC7, else to 0.

    Krizhevsky et al. (2012), section 5.
    """
    init_normal_(net, std=0.01)
    parts = [getattr(net.features, name) for name in ("conv2", "conv4", "conv5")]
    parts += [getattr(net.classifier, name) for name in ("fc6", "fc7")]
    for layer in parts:
        nn.init.ones_(layer.bias)


@register
def alexnet(num_classes: int = 1000, in_channels: int = 3) -> AlexNet:
    """AlexNet in two groups, as on the paper's two GPUs (figure 2)."""
    return AlexNet(TWO_GROUPS, 67, num_classes=num_classes, in_channels=in_channels)


@register
def alexnet_one_tower(num_classes: int = 1000, in_channels: int = 3) -> AlexNet:
    """AlexNet in one tower (Krizhevsky, 2014), which is torchvision's `alexnet`."""
    return AlexNet(
        ONE_TOWER, 63, dropout_first=True, num_classes=num_classes, in_channels=in_channels
    )
