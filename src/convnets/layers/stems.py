"""What networks for ImageNet begin with."""

from collections import OrderedDict

from torch import nn


def imagenet_stem(in_channels: int, width: int) -> nn.Module:
    """A 7x7 convolution of stride 2 and a 3x3 max pool of stride 2: 224 -> 56 pixels."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False),
            norm=nn.BatchNorm2d(width),
            relu=nn.ReLU(inplace=True),
            pool=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        )
    )
