"""Run a network on the meta device: shapes and operations without numbers."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from convnets.analysis.observing import attributes_kept, in_mode, observe, recording

Pair = tuple[int, int]

INPUT_SIZE = 224
"""Side of an image in pixels for networks that do not state theirs: the ImageNet crop."""
COLOURS = 3
GREY = 1
MOST_GUESSES = 12
"""Numbers of channels that are tried before the network is asked to state its own."""

_TRANSPOSED = {torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d}
_CONVOLUTIONS = {torch.conv1d, torch.conv2d, torch.conv3d, *_TRANSPOSED}


def image_for(
    net: nn.Module, input_size: int | Pair | None = None, in_channels: int | None = None
) -> Tensor:
    """One image (1, C, H, W) on the meta device, in the number format of the parameters of `net`.

    Args:
        net: any network that takes images (N, C, H, W).
        input_size: side of the square image in pixels, or (height, width); by default
            `net.input_size`, which registered networks have from their card, or else 224.
        in_channels: C; by default what the first convolution that runs needs, and in networks
            without convolutions their attribute `in_channels`.

    Raises:
        ValueError: the size or the number of channels is below 1, or the latter is unknown.
    """
    if input_size is None:
        input_size = getattr(net, "input_size", None) or INPUT_SIZE
    height, width = (input_size, input_size) if isinstance(input_size, int) else input_size
    if min(height, width) < 1:
        raise ValueError(f"input_size must be at least 1, got {input_size}")
    if in_channels is not None and in_channels < 1:
        raise ValueError(f"in_channels must be at least 1, got {in_channels}")
    formats = (p.dtype for p in net.parameters() if p.is_floating_point())
    image = torch.empty(1, 1, height, width, device="meta", dtype=next(formats, None))
    return _with_channels(image, in_channels or _channels(net, image))


def observe_on_meta(
    net: nn.Module,
    image: Tensor,
    layers: Mapping[str, nn.Module],
    leave: Callable[[str, Any], None],
    enter: Callable[[str], None] = lambda name: None,
    *,
    training: bool = False,
    gradients: bool = False,
) -> None:
    """`observe` with empty tensors in place of all numbers of `net`; its attributes are kept, too.

    Args:
        net: any network, on any device.
        image: (N, C, H, W), on the meta device or in a `FakeTensorMode`.
        layers: the modules of `net` to observe, by name.
        leave: called after each run of a layer with its name and whatever it returns.
        enter: called before each run of a layer with its name.
        training: run in training mode instead of evaluation mode, and let those parameters have a
            gradient that have one in `net`.
        gradients: record the run for autograd, which training always does.

    Raises:
        ValueError: the network cannot run on such an image without looking at its values.
    """
    state = dict(net.named_parameters()) | dict(net.named_buffers())
    weights = {
        name: torch.empty_like(tensor, device=image.device) for name, tensor in state.items()
    }
    if training:
        for name, parameter in net.named_parameters():
            weights[name].requires_grad_(parameter.requires_grad)
    try:
        with (
            torch.device(image.device),
            attributes_kept(net),
            in_mode(net, training=training),
        ):
            _empty_attributes(net, image.device)
            observe(
                net,
                image,
                layers,
                leave,
                enter,
                weights=weights,
                gradients=training or gradients,
                tensors_only=False,
            )
    except (RuntimeError, AssertionError, IndexError, TypeError, ArithmeticError) as error:
        channels, height, width = image.shape[1:]
        raise ValueError(
            f"this network cannot take an image of {height}x{width} pixels and {channels} channels "
            "(input_size and in_channels ask for another), or its operations depend on the values "
            f"of the pixels: {error}"
        ) from error


def _empty_attributes(net: nn.Module, device: torch.device) -> None:
    """Replace tensors that are plain attributes, or buffers, by empty ones on `device`.

    Tensors of integers stay, for they are read as sizes and indices.
    """
    for module in net.modules():
        for attributes in (vars(module), module._buffers):
            for key, value in attributes.items():
                if isinstance(value, Tensor) and value.is_floating_point() and value.ndim:
                    attributes[key] = torch.empty_like(value, device=device)


def _channels(net: nn.Module, image: Tensor) -> int:
    """The number of channels of the images that `net` takes.

    The first convolution decides: it says how many channels it is given for a guess, and how many
    it needs. Between the image and it, channels may be multiplied, as by cutting into patches, or
    added, as by appending coordinates.
    """
    stated = (getattr(module, "in_channels", None) for module in net.modules())
    attribute = next((number for number in stated if isinstance(number, int)), None)
    guesses = [COLOURS, GREY] if attribute is None else [attribute, COLOURS, GREY]
    tried: set[int] = set()
    while guesses and len(tried) < MOST_GUESSES:
        if (guess := guesses.pop(0)) in tried or guess < 1:
            continue
        tried.add(guess)
        if (found := _first_convolution(net, _with_channels(image, guess))) is None:
            continue
        given, needed = found
        if given == needed:
            return guess
        guesses.insert(0, guess + needed - given)
        if guess * needed % given == 0:
            guesses.insert(0, guess * needed // given)
    if attribute is not None:
        return attribute
    raise ValueError(
        "the number of channels of this network's images is unknown: no convolution runs, and "
        "there is no attribute in_channels; say it with in_channels="
    )


class _Found(Exception):  # noqa: N818
    """Ends a run at its first convolution, with the channels that it is given and needs."""


class _FirstConvolution(TorchFunctionMode):
    """Raises `_Found` at the first convolution of something that depends on the image."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function in _CONVOLUTIONS:
            self._look(function, *args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))

    def _look(
        self, function: Any, input: Tensor, weight: Tensor, *args: Any, **kwargs: Any
    ) -> None:
        if not input.requires_grad:
            return
        groups = kwargs.get("groups", args[4] if len(args) > 4 else 1)
        needed = weight.shape[0] if function in _TRANSPOSED else weight.shape[1] * groups
        raise _Found(input.shape[1 - weight.ndim], needed)


def _first_convolution(net: nn.Module, image: Tensor) -> tuple[int, int] | None:
    """Channels that the first convolution is given for `image` and needs, `None` without one."""
    with recording():
        image = image.new_empty(image.shape, requires_grad=True).clone()
    try:
        with _FirstConvolution():
            observe_on_meta(net, image, {}, lambda name, output: None, gradients=True)
    except _Found as found:
        return found.args
    except Exception:  # the run proper says what is wrong
        return None
    return None


def _with_channels(image: Tensor, channels: int) -> Tensor:
    return image.new_empty(1, channels, *image.shape[2:])
