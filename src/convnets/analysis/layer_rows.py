"""One row for each layer of a network, and one for what lies outside layers.

The rows add up to the parameters, the MACs and the saved bytes of the whole network.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from convnets.analysis.fields import Field, FieldMode, Unknown
from convnets.analysis.meta import Pair, observe_on_meta
from convnets.analysis.observing import PARAMETRIZATIONS
from convnets.analysis.receptive_field import sides_of

OUTSIDE = "(outside layers)"


@dataclass(frozen=True)
class LayerRow:
    """One layer, for one image. A size that a layer does not have is `None`.

    A module that owns parameters and has children is a layer, too; its row tells what its children
    do not. The last row, named `OUTSIDE`, tells what belongs to no layer; it exists if there is
    something to tell.
    """

    name: str
    kind: str = ""
    """Class of the module."""
    kernel: Pair | None = None
    """Height and width, as for all pairs."""
    stride: Pair | None = None
    padding: Pair | None = None
    groups: int | None = None
    output: tuple[int, ...] = ()
    """(C, H, W) for feature maps, (features,) for a vector; without N. Of several tensors that of
    the first, () without any."""
    weights: int = 0
    """Those that an earlier row counts are left out, as in `biases`."""
    biases: int = 0
    macs: int = 0
    """Multiply-accumulate operations; a FLOP count is twice this."""
    activation_bytes: int = 0
    """Bytes of the output of one image; a layer with children leaves out what they returned."""
    saved_bytes: int | None = None
    """Bytes that this layer is the first to keep for the backward pass (`saved_for_backward`);
    `None` if the network cannot be trained on images of this size."""
    peak_bytes: int | None = None
    """The most bytes that inference holds while the layer runs (`inference_peak`); `None` if it
    cannot be found out."""
    receptive_field: Pair | None = None
    """Input pixels that one value of the output sees along height and width; `None` if unknown."""
    jump: Pair | None = None
    """Input pixels from the field of one value to that of the next: the product of the strides."""
    start: tuple[float, float] | None = None
    """Centre of the first value's field in input pixels; the centre of the first pixel is 0."""

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.weights + self.biases


def layer_rows(
    net: nn.Module,
    image: Tensor,
    layers: Mapping[str, nn.Module],
    saved: Mapping[str, int] | None,
    peaks: Mapping[str, int] | None,
) -> tuple[LayerRow, ...]:
    """The rows of `net` in the order in which layers run, in evaluation mode.

    Args:
        net: any network.
        image: what `image_for` returns.
        layers: the modules that have rows, by name.
        saved: what `saved_in_layers` returns for them, `None` if it is unknown.
        peaks: what `held_in_layers` returns for them, `None` if it is unknown.
    """
    rows = _of_run(net, image, layers)
    first = {row.name: number for number, row in reversed([*enumerate(rows)])}
    weights, biases = _parameters(net, first)
    kept = Counter[str]()
    for name, size in (saved or {}).items():
        kept[_home(name, first)] += size
    for number, row in enumerate(rows):
        name, again = row.name, number != first[row.name]
        inside = "" if name == OUTSIDE else name
        rows[number] = replace(
            row,
            weights=0 if again else weights[name],
            biases=0 if again else biases[name],
            saved_bytes=None if saved is None else 0 if again else kept[name],
            peak_bytes=None if peaks is None else peaks.get(inside, 0),
        )
    outside = rows.pop()
    tells = outside.parameters or outside.macs or outside.saved_bytes
    return (*rows, outside) if tells else tuple(rows)


def _of_run(net: nn.Module, image: Tensor, layers: Mapping[str, nn.Module]) -> list[LayerRow]:
    """Rows without parameters and memory; the last one tells what lies outside layers."""
    counter, fields = FlopCounterMode(display=False), FieldMode(image)
    rows: list[LayerRow] = []
    returned: dict[int, Tensor] = {}  # by memory block
    before: list[int] = []
    flops_of_layers_in = [0]  # each layer that runs, the network first

    def enter(name: str) -> None:
        before.append(counter.get_total_flops())
        flops_of_layers_in.append(0)

    def leave(name: str, output: Any) -> None:
        flops = counter.get_total_flops() - before.pop()
        own = flops - flops_of_layers_in.pop()
        flops_of_layers_in[-1] += flops
        tensors = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
        new = tensors
        if any(layers[name].children()):
            new = [t for t in tensors if t.untyped_storage()._cdata not in returned]
        returned.update((t.untyped_storage()._cdata, t) for t in tensors)
        row = LayerRow(
            name,
            macs=own // 2,
            activation_bytes=sum(t.numel() * t.element_size() for t in new),
            **_of_module(layers[name]),
            **_of_output(tensors[0], fields) if tensors else {},
        )
        rows.append(row)

    with counter, fields:
        observe_on_meta(net, image, layers, leave, enter)
    outside = (counter.get_total_flops() - flops_of_layers_in[0]) // 2
    return [*rows, LayerRow(OUTSIDE, macs=outside)]


def _parameters(net: nn.Module, first: Mapping[str, int]) -> tuple[Counter[str], Counter[str]]:
    """Weights and biases of each layer; `first` is the number of its first row.

    A parameter that several modules share counts where it is used first.
    """
    names: dict[nn.Parameter, list[str]] = defaultdict(list)
    for name, parameter in net.named_parameters(remove_duplicate=False):
        names[parameter].append(name)
    weights, biases = Counter[str](), Counter[str]()
    for parameter, candidates in names.items():
        owners = [name.rpartition(".")[0] for name in candidates]
        owner = min(owners, key=lambda name: (name not in first, first[_home(name, first)]))
        kind = biases if _is_bias(candidates[0]) else weights
        kind[_home(owner, first)] += parameter.numel()
    return weights, biases


def _home(module: str, layers: Collection[str]) -> str:
    """The layer with a row that is the module, or the nearest around it."""
    while module not in layers:
        if not module:
            return OUTSIDE
        module = module.rpartition(".")[0]
    return module


def _is_bias(name: str) -> bool:
    before, _, computed = name.partition(f"{PARAMETRIZATIONS}.")
    return (computed.partition(".")[0] or before).endswith("bias")


def _of_module(module: nn.Module) -> dict[str, Any]:
    groups = getattr(module, "groups", None)
    return {
        "kind": type_before_parametrizations(module).__name__,
        "kernel": _pair(module, "kernel_size"),
        "stride": _pair(module, "stride"),
        "padding": _padding(module),
        "groups": groups if isinstance(groups, int) else None,
    }


def _of_output(output: Tensor, fields: FieldMode) -> dict[str, Any]:
    of_one_image = output.shape[1:] if output.shape[:1] == (1,) else output.shape
    return {
        "output": tuple(of_one_image),
        **_of_field(fields[output] if output.ndim == 4 else None),
    }


def _of_field(field: Field | Unknown | None) -> dict[str, Any]:
    sides = "no image" if field is None else sides_of(field)
    if isinstance(sides, str):
        return {}
    height, width = sides
    return {
        "receptive_field": (height.size, width.size),
        "jump": (height.jump, width.jump),
        "start": (height.start, width.start),
    }


def _padding(module: nn.Module) -> Pair | None:
    """Padding at both ends of height and width; `None` if the two ends differ."""
    named = getattr(module, "padding", None)
    if named == "valid":
        return 0, 0
    kernel, dilation = _pair(module, "kernel_size"), _pair(module, "dilation")
    if named != "same" or not kernel or not dilation:
        return _pair(module, "padding")
    height, width = (d * (k - 1) for d, k in zip(dilation, kernel, strict=True))
    return None if height % 2 or width % 2 else (height // 2, width // 2)


def _pair(module: nn.Module, attribute: str) -> Pair | None:
    match getattr(module, attribute, None):
        case int(side):
            return side, side
        case (int(height), int(width)):
            return height, width
    return None
