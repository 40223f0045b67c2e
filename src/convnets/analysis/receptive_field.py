"""Which input pixels one output value can see.

The recurrence for a chain of layers is that of Araujo, Norris, Sim: "Computing receptive fields of
convolutional neural networks", 2019, section "Single-path networks"; branches take the largest
field of their paths, as in its section "Arbitrary computation graphs". Lecture slide 18.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from convnets.analysis.fields import Axis, Field, FieldMode, Unknown
from convnets.analysis.meta import image_for, run
from convnets.layers import ImageClassifier


@dataclass(frozen=True)
class ReceptiveField:
    """The input pixels behind one output value, along one side, in input pixels."""

    size: int
    """Side of the field, from its first pixel to its last, with those that lie in the padding."""
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


def along(axis: Axis) -> ReceptiveField:
    """The field along one side."""
    return ReceptiveField(axis.high - axis.low + 1, axis.jump, (axis.low + axis.high) / 2)


def receptive_field(
    net: nn.Module, layer: str | None = None, input_size: int = 224
) -> ReceptiveField:
    """The receptive field of a layer's output, exact for networks with branches.

    Where branches meet, the field is the largest of all paths; the field of one branch is that of
    its last layer. Behind a gate or a global average every value sees the whole image: the field
    is then as large as the image, and centred on it.

    Args:
        net: any network that takes images (N, C, H, W).
        layer: name of a module, such as "features.stage1" or the end of such a name, "conv3_1";
            if `None`, `features` in a network of the course's contract, in others the last map.
        input_size: side of the input in pixels.

    Raises:
        ValueError: no module has this name, an operation on the way has no known field, maps of
            different strides meet, or the field is not square.
    """
    name, field = field_of(net, layer, input_size)
    label = f"layer {name!r}" if name else "the network"
    if field is None:
        raise ValueError(f"{label} puts out no map that depends on the image")
    if isinstance(field, Unknown):
        raise ValueError(f"the receptive field of {label} cannot be given: {field.reason}")
    height, width = (along(axis) for axis in field)
    if height != width:
        raise ValueError(
            f"the field of {label} is not square, {height.size}x{width.size} pixels; "
            "trace(net) gives both sides of every layer"
        )
    return height


def field_of(net: nn.Module, layer: str | None, input_size: int) -> tuple[str, Field | None]:
    """The full name of the layer that is meant, and its field."""
    image = image_for(net, input_size)
    seen: dict[str, set[Field | None]] = {}
    maps: list[str] = []
    with FieldMode(image) as mode:

        def leave(module: nn.Module, inputs: Any, output: Any, name: str) -> None:
            field = mode[output] if isinstance(output, Tensor) else None
            seen.setdefault(name, set()).add(field)
            if isinstance(field, Unknown) or (field and output.ndim == 4 and not field[0].fixed):
                maps.append(name)

        hooks = [
            module.register_forward_hook(partial(leave, name=name))
            for name, module in net.named_modules()
        ]
        try:
            run(net, image)
        finally:
            for hook in hooks:
                hook.remove()
    name = _full_name(list(seen), layer)
    if layer is None:
        name = "features" if isinstance(net, ImageClassifier) else ["", *maps][-1]
    if len(seen[name]) > 1:
        raise ValueError(f"layer {name!r} runs more than once and sees different fields each time")
    return name, seen[name].pop()


def _full_name(names: list[str], layer: str | None) -> str:
    """The one of `names` that is `layer` or ends in it."""
    if layer is None or layer in names:
        return layer or ""
    matches = [name for name in names if name.endswith(f".{layer}")]
    if len(matches) != 1:
        among = matches or [name.removeprefix("features.") for name in names if name]
        problem = "more than one" if matches else "no"
        raise ValueError(f"{problem} layer {layer!r}; there are {', '.join(among)}")
    return matches[0]
