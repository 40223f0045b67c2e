"""Which input pixels one output value can see.

The recurrence for a chain of layers is that of Araujo, Norris, Sim: "Computing receptive fields of
convolutional neural networks", 2019, section "Single-path networks". Lecture slide 18.
"""

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

# Layers that look at one position at a time.
_POINTWISE = (
    nn.ReLU,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.SELU,
    nn.Sigmoid,
    nn.Tanh,
    nn.BatchNorm2d,
    nn.LocalResponseNorm,
    nn.Dropout,
    nn.Identity,
)
_WINDOWED = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


@dataclass(frozen=True)
class ReceptiveField:
    """The input pixels behind one output value, along one side, in input pixels."""

    size: int
    """Side of the field."""
    jump: int
    """Distance between the fields of two neighbouring outputs: the product of the strides."""
    start: float
    """Centre of the first output's field; the centre of the first input pixel is 0."""


@dataclass(frozen=True)
class Window:
    """A convolution or a pool, along one side."""

    kernel_size: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


def receptive_field_of_chain(windows: Iterable[Window]) -> ReceptiveField:
    """The field of the last of these layers, from input to output.

    A layer adds (kernel - 1) times the jump so far, and multiplies the jump by its stride.
    """
    size, jump, start = 1, 1, 0.0
    for window in windows:
        reach = window.dilation * (window.kernel_size - 1)
        start += (reach / 2 - window.padding) * jump
        size += reach * jump
        jump *= window.stride
    return ReceptiveField(size, jump, start)


def receptive_field(
    net: nn.Module, layer: str | None = None, input_size: int = 224
) -> ReceptiveField:
    """The receptive field of a layer in a network whose `features` are a chain.

    Args:
        net: a network of the course's contract, or a chain (`nn.Sequential`) itself.
        layer: name of a layer of `features`, such as "conv3_1"; the last one if `None`.
        input_size: side of the input in pixels; a larger field ends at the border.

    Raises:
        ValueError: the network branches or holds a layer of unknown reach, there is no layer of
            this name, or the input is empty.
    """
    if input_size < 1:
        raise ValueError(f"input_size must be at least 1, got {input_size}")
    names, windows = [], []
    for name, module in _chain(getattr(net, "features", net)):
        names.append(name)
        windows.append(_window(module))
        if name == layer:
            break
    if layer is not None and names[-1] != layer:
        raise ValueError(f"no layer {layer!r}; there are {', '.join(names)}")
    return receptive_field_of_chain(window for window in windows if window is not None)


def numerical_receptive_field(net: nn.Module, input_size: int) -> int:
    """The side of the field of the central output, found by differentiating, in pixels.

    All weights of a copy are set to one and max pools become average pools, so that every path
    counts: the pixels with a gradient are the field.

    Args:
        net: a network of the course's contract, or a chain itself.
        input_size: side of the input in pixels, larger than the field.

    Raises:
        ValueError: the field reaches the border, so that it may be cut off.
    """
    layers: list[nn.Module] = []
    for _, module in _chain(getattr(net, "features", net)):
        window = _window(module)
        if isinstance(module, nn.Conv2d):
            layers.append(_with_unit_weights(module))
        elif window is not None:
            layers.append(nn.AvgPool2d(window.kernel_size, window.stride, window.padding))
    first = next(module for module in layers if isinstance(module, nn.Conv2d))
    image = torch.ones(1, first.in_channels, input_size, input_size, dtype=torch.float64)
    image.requires_grad_()
    output = nn.Sequential(*layers).double()(image)
    middle = output.shape[-1] // 2
    output[0, 0, middle, middle].backward()
    assert image.grad is not None
    columns = image.grad[0, 0].abs().sum(dim=0).nonzero().flatten()
    low, high = int(columns.min()), int(columns.max())
    if low == 0 or high == input_size - 1:
        raise ValueError(f"the field reaches the border of {input_size} pixels; use a larger input")
    return high - low + 1


def _chain(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The leaves of nested Sequentials, in order."""
    if not isinstance(module, nn.Sequential):
        raise ValueError(
            f"{prefix or 'the network'} is a {type(module).__name__}, not a chain of layers; the "
            "field of a network with branches has no single recurrence"
        )
    for name, child in module.named_children():
        if isinstance(child, _WINDOWED + _POINTWISE):
            yield f"{prefix}{name}", child
        else:
            yield from _chain(child, f"{prefix}{name}.")


def _window(module: nn.Module) -> Window | None:
    if not isinstance(module, _WINDOWED):
        return None
    pairs = [
        getattr(module, attribute, 1)
        for attribute in ("kernel_size", "stride", "padding", "dilation")
    ]
    sizes = [pair if isinstance(pair, tuple) else (pair, pair) for pair in pairs]
    if any(height != width for height, width in sizes):
        raise ValueError(f"{module} has sides of its own for height and width; ask for squares")
    return Window(*(int(height) for height, _ in sizes))


def _with_unit_weights(conv: nn.Conv2d) -> nn.Conv2d:
    twin = copy.deepcopy(conv)
    nn.init.ones_(twin.weight)
    if twin.bias is not None:
        nn.init.zeros_(twin.bias)
    return twin
