"""Which input pixels one output value sees.

The recurrence for a chain of layers is that of Araujo, Norris, Sim: "Computing receptive fields of
convolutional neural networks", 2019, section "Single-path networks"; branches take the largest
field of their paths, as in its section "Arbitrary computation graphs". Lecture slide 18.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from convnets.analysis.fields import Field, FieldMode, Unknown
from convnets.analysis.meta import Pair, image_for, observe_on_meta
from convnets.analysis.observing import first_tensor


@dataclass(frozen=True)
class ReceptiveField:
    """The input pixels that one output value sees along one side, in input pixels."""

    size: int
    """Side of the field from its first pixel to its last, including those in the padding."""
    jump: int
    """Distance between the fields of two neighbouring outputs: the product of the strides."""
    start: float
    """Centre of the first output's field; the centre of the first input pixel is 0."""


@dataclass(frozen=True)
class Window:
    """A convolution or a pooling layer, along one side; all sizes in values of its input."""

    kernel_size: int
    stride: int = 1
    padding: int = 0
    """Values added at each end."""
    dilation: int = 1


def receptive_field_of_chain(windows: Iterable[Window]) -> ReceptiveField:
    """The receptive field of the last layer of a chain, in input pixels.

    A layer adds (kernel size - 1) times the jump so far, and multiplies the jump by its stride
    (Araujo et al., equations 1 and 2; lecture slide 18).

    Args:
        windows: the layers, from input to output.

    Returns:
        The field of the last one; a single pixel if there are none.

    Example:
        >>> receptive_field_of_chain([Window(3), Window(3), Window(2, stride=2), Window(3)]).size
        10
    """
    size, jump, start = 1, 1, 0.0
    for window in windows:
        reach = window.dilation * (window.kernel_size - 1)
        start += (reach / 2 - window.padding) * jump
        size += reach * jump
        jump *= window.stride
    return ReceptiveField(size, jump, start)


def receptive_field(
    net: nn.Module,
    layer: str | None = None,
    input_size: int | None = None,
    in_channels: int | None = None,
) -> ReceptiveField:
    """The receptive field of a layer's output in input pixels, exact for networks with branches.

    Where branches meet, the field is the largest of all paths. After a gate or a global average
    every value sees the whole image: the field is then as large as the image, and centred on it.

    Args:
        net: any network that takes images (N, C, H, W).
        layer: name of a module, such as "features.stage1", or the end of such a name, "conv3_1"; by
            default the last one that returns a map, adaptive pools left out.
        input_size: side of the input in pixels; by default `net.input_size`, or else 224.
        in_channels: channels of the image; by default what the first convolution that runs needs.

    Raises:
        ValueError: no module has this name, an operation before it has no known field, maps of
            different strides meet, the field is not square, or the network cannot run on an image
            of this size.

    Example:
        >>> import convnets
        >>> receptive_field(convnets.create_model("vgg16"), "conv3_3").size
        40
    """
    name, field = field_of(net, layer, input_size, in_channels)
    sides = sides_of(field)
    if isinstance(sides, str):
        raise ValueError(f"the receptive field of {_label(name)} cannot be given: {sides}")
    height, width = sides
    if height != width:
        raise ValueError(
            f"the receptive field of {_label(name)} is not square, {height.size}x{width.size} "
            "pixels; trace(net) gives both sides of every layer"
        )
    return height


def sides_of(field: Field | Unknown) -> tuple[ReceptiveField, ReceptiveField] | str:
    """The field along height and width, or why it cannot be given."""
    if isinstance(field, Unknown):
        return field.reason
    sides = []
    for span in field.spans:
        if isinstance(measured := span.measured(), str):
            return measured
        low, high, jump = measured
        sides.append(ReceptiveField(high - low + 1, jump, (low + high) / 2))
    return sides[0], sides[1]


def field_of(
    net: nn.Module, layer: str | None, input_size: int | Pair | None, in_channels: int | None
) -> tuple[str, Field | Unknown]:
    """The full name of the layer, and its field; arguments as for `receptive_field`.

    Of several tensors that a layer returns the first counts.
    """
    image = image_for(net, input_size, in_channels)
    modules = dict(net.named_modules())
    seen: dict[str, list[Field | Unknown | None]] = {}
    last_map = ""
    with FieldMode(image) as fields:

        def leave(name: str, output: Any) -> None:
            nonlocal last_map
            tensor = first_tensor(output)
            field = None if tensor is None else fields[tensor]
            seen.setdefault(name, []).append(field)
            if tensor is output and _ends_in_a_map(modules[name], field):
                last_map = name

        observe_on_meta(net, image, modules, leave)
    name = last_map if layer is None else _full_name(list(seen), layer)
    if layer is not None and len({field and sides_of(field) for field in seen[name]}) > 1:
        raise ValueError(f"layer {name!r} runs more than once and sees different fields each time")
    if (field := seen[name][-1]) is None:
        raise ValueError(f"{_label(name)} returns no map that depends on the image")
    return name, field


def _label(name: str) -> str:
    return f"layer {name!r}" if name else "the network"


def _ends_in_a_map(module: nn.Module, field: Field | Unknown | None) -> bool:
    """Adaptive pools are left out: they fit the last map, whatever its size, to the classifier."""
    if isinstance(module, (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)):
        return False
    return isinstance(field, Unknown) or (field is not None and field.is_map)


def _full_name(names: list[str], layer: str) -> str:
    """The one of `names` that is `layer` or ends in `.layer`."""
    if layer in names:
        return layer
    matches = [name for name in names if name.endswith(f".{layer}")]
    if len(matches) != 1:
        among = matches or [name.removeprefix("features.") for name in names if name]
        problem = "more than one" if matches else "no"
        raise ValueError(f"{problem} layer {layer!r}; there are {', '.join(among)}")
    return matches[0]
