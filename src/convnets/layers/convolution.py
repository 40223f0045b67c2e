"""Convolution, batch norm and an activation: what most networks since 2015 are made of."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import nn

relu = partial(nn.ReLU, inplace=True)


def conv_norm_act(
    in_channels: int,
    out_channels: int,
    kernel_size: int | tuple[int, int],
    stride: int = 1,
    padding: int | tuple[int, int] | None = None,
    groups: int = 1,
    activation: Callable[[], nn.Module] | None = relu,
    norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
) -> nn.Module:
    """A convolution without bias, a norm and an activation.

    (N, in_channels, H, W) -> (N, out_channels, H', W'), where H' = ceil(H / stride) for an odd
    kernel and the padding that is not given.

    Args:
        padding: pixels on each side; `None` is half the kernel, which keeps the size.
        groups: parts of the channels that do not see each other; `in_channels` for depthwise.
        activation: makes the activation; `None` for a linear layer.
        norm: makes the norm from the number of channels.
    """
    sides = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    half = (sides[0] // 2, sides[1] // 2)
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv2d(
            in_channels,
            out_channels,
            sides,
            stride,
            half if padding is None else padding,
            groups=groups,
            bias=False,
        ),
        norm=norm(out_channels),
    )
    if activation is not None:
        layers["act"] = activation()
    return nn.Sequential(layers)


def conv_norm_relu(
    in_channels: int,
    out_channels: int,
    kernel_size: int | tuple[int, int],
    stride: int = 1,
    padding: int | tuple[int, int] | None = None,
    eps: float = 1e-5,
) -> nn.Module:
    """`conv_norm_act` with batch norm and ReLU.

    Args:
        eps: what batch norm adds to the variance.
    """
    norm = partial(nn.BatchNorm2d, eps=eps)
    return conv_norm_act(in_channels, out_channels, kernel_size, stride, padding, norm=norm)
