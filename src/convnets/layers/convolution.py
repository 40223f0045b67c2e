"""Convolution, batch norm and an activation: the building block of most networks since 2015."""

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
    """A convolution without bias, a normalisation layer and an activation.

    (N, in_channels, H, W) -> (N, out_channels, H', W'). With an odd kernel and the default padding,
    H' is ceil(H / stride) and W' is ceil(W / stride).

    Args:
        in_channels: number of channels of the input.
        out_channels: number of channels of the output.
        kernel_size: side of the kernel, or its height and width, in pixels.
        stride: step of the kernel, in pixels.
        padding: rows and columns of zeros on each side; `None` for half the kernel size, rounded
            down.
        groups: number of groups of channels that are convolved separately; `in_channels` makes a
            depthwise convolution.
        activation: makes the activation; `None` for none.
        norm: makes the normalisation layer from its number of channels.

    Example:
        >>> import torch
        >>> depthwise = conv_norm_act(16, 16, 3, stride=2, groups=16)
        >>> depthwise(torch.zeros(1, 16, 28, 28)).shape
        torch.Size([1, 16, 14, 14])
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
    """`conv_norm_act` with batch norm and ReLU; shapes and arguments are the same.

    Args:
        in_channels: number of channels of the input.
        out_channels: number of channels of the output.
        kernel_size: side of the kernel, or its height and width, in pixels.
        stride: step of the kernel, in pixels.
        padding: as for `conv_norm_act`.
        eps: constant that batch norm adds to the variance.

    Example:
        >>> conv_norm_relu(3, 64, 7, stride=2, eps=1e-3).norm.eps
        0.001
    """
    norm = partial(nn.BatchNorm2d, eps=eps)
    return conv_norm_act(in_channels, out_channels, kernel_size, stride, padding, norm=norm)
