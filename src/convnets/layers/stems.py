"""Stems: the first layers of a network, for ImageNet and for small images."""

from collections import OrderedDict

from torch import nn


def imagenet_stem(in_channels: int, out_channels: int, norm_relu: bool = True) -> nn.Sequential:
    """A 7x7 convolution of stride 2, batch norm, ReLU, and a 3x3 max pool of stride 2.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / 4), ceil(W / 4)): from 224 to 56 pixels.
    He et al. (2016), table 1.

    Args:
        in_channels: number of channels of the images.
        out_channels: number of feature maps.
        norm_relu: whether to include batch norm and ReLU; `False` for networks whose first block
            begins with them.

    Example:
        >>> import torch
        >>> imagenet_stem(3, 64)(torch.zeros(1, 3, 224, 224)).shape
        torch.Size([1, 64, 56, 56])
    """
    conv = nn.Conv2d(in_channels, out_channels, 7, stride=2, padding=3, bias=False)
    pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
    return _stem(conv, norm_relu, pool)


def small_stem(in_channels: int, out_channels: int, norm_relu: bool = True) -> nn.Sequential:
    """A 3x3 convolution of stride 1, batch norm and ReLU, for images of about 32 pixels.

    (N, in_channels, H, W) -> (N, out_channels, H, W). He et al. (2016), section 4.2. The arguments
    are those of `imagenet_stem`.

    Example:
        >>> import torch
        >>> small_stem(1, 16)(torch.zeros(1, 1, 28, 28)).shape
        torch.Size([1, 16, 28, 28])
    """
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    return _stem(conv, norm_relu)


def _stem(conv: nn.Conv2d, norm_relu: bool, pool: nn.MaxPool2d | None = None) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv=conv)
    if norm_relu:
        layers["norm"] = nn.BatchNorm2d(conv.out_channels)
        layers["relu"] = nn.ReLU(inplace=True)
    if pool is not None:
        layers["pool"] = pool
    return nn.Sequential(layers)
