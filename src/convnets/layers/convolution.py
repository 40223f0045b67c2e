"""Convolution, batch norm and ReLU: what most networks since 2015 are made of."""

from collections import OrderedDict

from torch import nn


def conv_norm_relu(
    in_channels: int,
    out_channels: int,
    kernel_size: int | tuple[int, int],
    stride: int = 1,
    padding: int | tuple[int, int] | None = None,
    eps: float = 1e-5,
) -> nn.Module:
    """A convolution without bias, batch norm and ReLU.

    (N, in_channels, H, W) -> (N, out_channels, H', W'), where H' = ceil(H / stride) for an odd
    kernel and the padding that is not given.

    Args:
        padding: pixels on each side; `None` is half the kernel, which keeps the size.
        eps: what batch norm adds to the variance.
    """
    sides = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    half = (sides[0] // 2, sides[1] // 2)
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(
                in_channels,
                out_channels,
                sides,
                stride,
                half if padding is None else padding,
                bias=False,
            ),
            norm=nn.BatchNorm2d(out_channels, eps=eps),
            relu=nn.ReLU(inplace=True),
        )
    )
