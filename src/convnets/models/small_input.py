"""Adapt networks made for ImageNet to images of 28 to 32 pixels."""

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn

from convnets.layers import ImageClassifier

SMALL_SIDE = 32
"""Input size of an adapted network, in pixels."""
LARGEST_FACTOR = 8
"""Side of an image over that of its last feature maps: 32 pixels leave 4, as usual for CIFAR."""
_STRIDED = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


def keep_small_images_(net: ImageClassifier, input_size: int) -> None:
    """Remove the first strides of `net` in place, so that it reduces an image at most 8 times.

    (N, in_channels, H, W) then gives feature maps (N, C, H', W') with H' of about H / 8 or more.
    The shapes of the weights do not change, so public weights still fit. A 2x2 pool whose stride is
    removed becomes the identity. `net.smallest_input` and `net.input_size` are updated.

    Args:
        net: the network.
        input_size: side of an image that `net` accepts before the change, in pixels.
    """
    steps = _steps(net, input_size)
    factor = 1
    for side in sorted(steps):  # from the last maps back to the image
        strides = {_stride(layer) for layer in steps[side]}
        factor *= max(strides)
        if factor > LARGEST_FACTOR:
            for layer in steps[side]:
                layer.stride = (1, 1) if isinstance(layer, nn.Conv2d) else 1
                if not isinstance(layer, nn.Conv2d) and layer.kernel_size == 2:
                    layer.kernel_size = 1
    net.smallest_input = _smallest(net, input_size)
    net.input_size = SMALL_SIDE


def _steps(net: ImageClassifier, input_size: int) -> dict[int, list[Any]]:
    """Layers with a stride by the side of their input; parallel branches share a side."""
    steps: dict[int, list[Any]] = defaultdict(list)

    def record(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if _stride(layer) > 1:
            steps[inputs[0].shape[-1]].append(layer)

    layers = [layer for layer in net.features.modules() if isinstance(layer, _STRIDED)]
    hooks = [layer.register_forward_pre_hook(record) for layer in layers]
    try:
        _run(net, input_size)
    finally:
        for hook in hooks:
            hook.remove()
    return steps


def _stride(layer: Any) -> int:
    return layer.stride[0] if isinstance(layer.stride, tuple) else layer.stride


def _run(net: ImageClassifier, side: int) -> None:
    """Run a forward pass on the meta device, which computes shapes only."""
    state = {key: tensor.to("meta") for key, tensor in net.state_dict().items()}
    image = torch.empty(2, net.in_channels, side, side, device="meta")
    with torch.device("meta"), torch.no_grad():
        torch.func.functional_call(net, state, (image,))


def _smallest(net: ImageClassifier, works: int) -> int:
    """Side of the smallest image that every layer can handle, found by bisection."""
    fails, side = 0, SMALL_SIDE
    net.smallest_input = 1
    while works - fails > 1:
        try:
            _run(net, side)
        except RuntimeError:
            fails = side
        else:
            works = side
        side = (fails + works) // 2
    return works
