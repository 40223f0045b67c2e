"""Run a network on the meta device: shapes and operations without a single number."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from convnets.analysis.watching import evaluating

Pair = tuple[int, int]


def image_for(net: nn.Module, input_size: int | Pair) -> Tensor:
    """One image (1, C, H, W) without numbers, of the channels that `net` takes.

    Raises:
        ValueError: the size is below 1, or nothing says how many channels the network takes.
    """
    height, width = (input_size, input_size) if isinstance(input_size, int) else input_size
    if min(height, width) < 1:
        raise ValueError(f"input_size must be at least 1, got {input_size}")
    for module in net.modules():
        if isinstance(channels := getattr(module, "in_channels", None), int):
            return torch.empty(1, channels, height, width, device="meta")
    raise ValueError(
        "this network has neither in_channels nor a convolution; one of them must say how many "
        "channels an image has"
    )


def run(net: nn.Module, image: Tensor) -> Any:
    """The output of `net`, in evaluation mode, with its weights replaced by empty ones.

    Raises:
        ValueError: the network cannot run on an image of this size without looking at its values.
    """
    state = dict(net.named_parameters()) | dict(net.named_buffers())
    weightless = {name: tensor.detach().to("meta") for name, tensor in state.items()}
    try:
        with evaluating(net), torch.device("meta"), torch.no_grad():
            return functional_call(net, weightless, (image,))
    except (RuntimeError, NotImplementedError) as error:
        raise ValueError(
            f"this network cannot take an image of {image.shape[-2]}x{image.shape[-1]} pixels, "
            f"or what it does depends on the values of the pixels: {error}"
        ) from error
