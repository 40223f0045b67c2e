"""Run a network on the meta device: shapes and operations without numbers."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from convnets.analysis.observing import observe

Pair = tuple[int, int]

INPUT_SIZE = 224
"""Side of an image in pixels for networks that do not state theirs: the ImageNet crop."""


def image_for(net: nn.Module, input_size: int | Pair | None = None) -> Tensor:
    """One image (1, C, H, W) on the meta device, with the channels that `net` takes.

    Args:
        net: C is its `in_channels`, or else that of its first module that has one.
        input_size: side of the square image in pixels, or (height, width); by default
            `net.input_size`, which registered networks have from their card, or else 224.

    Raises:
        ValueError: the size is below 1, or the number of channels is unknown.
    """
    if input_size is None:
        input_size = getattr(net, "input_size", None) or INPUT_SIZE
    height, width = (input_size, input_size) if isinstance(input_size, int) else input_size
    if min(height, width) < 1:
        raise ValueError(f"input_size must be at least 1, got {input_size}")
    for module in net.modules():
        if isinstance(channels := getattr(module, "in_channels", None), int):
            return torch.empty(1, channels, height, width, device="meta")
    raise ValueError(
        "this network has neither in_channels nor a convolution; set in_channels to the number of "
        "channels of its images"
    )


def observe_on_meta(
    net: nn.Module,
    image: Tensor,
    layers: Mapping[str, nn.Module],
    leave: Callable[[str, Any], None],
    enter: Callable[[str], None] = lambda name: None,
    *,
    tensors_only: bool = True,
) -> None:
    """`observe`, in evaluation mode, with parameters and buffers replaced by empty ones.

    Args:
        net: any network, on any device.
        image: what `image_for` returns, (1, C, H, W).
        layers: the modules of `net` to observe, by name.
        leave: called after each run of a layer with its name and its output, (1, ...).
        enter: called before each run of a layer with its name.
        tensors_only: refuse layers that return something other than a tensor.

    Raises:
        ValueError: the network cannot run on an image of this size without looking at its values,
            or a layer returns something other than a tensor.
    """
    state = dict(net.named_parameters()) | dict(net.named_buffers())
    weights = {name: tensor.detach().to("meta") for name, tensor in state.items()}
    try:
        with torch.device("meta"):
            observe(
                net,
                image,
                layers,
                leave,
                enter,
                weights=weights,
                evaluate=True,
                tensors_only=tensors_only,
            )
    except (RuntimeError, NotImplementedError) as error:
        raise ValueError(
            f"this network cannot take an image of {image.shape[-2]}x{image.shape[-1]} pixels, "
            f"or its operations depend on the values of the pixels: {error}"
        ) from error
