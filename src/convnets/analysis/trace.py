"""Follow one image through a network and record every layer: shape, parameters, MACs, memory.

The network runs on the meta device, where nothing is computed, so even the largest takes at most a
few seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rich.table import Column
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from convnets.analysis.fields import Field, FieldMode, Unknown
from convnets.analysis.meta import Pair, image_for, observe_on_meta
from convnets.analysis.observing import leaf_modules
from convnets.analysis.receptive_field import sides_of
from convnets.tables import FittingTable

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LayerRow:
    """One layer, for one image. A size that a layer does not have is `None`."""

    name: str
    kind: str
    """Class of the module."""
    kernel: Pair | None
    """Height and width, as for all pairs."""
    stride: Pair | None
    padding: Pair | None
    groups: int | None
    output: tuple[int, ...]
    """(C, H, W) for feature maps, (features,) for a vector; without N."""
    weights: int
    biases: int
    macs: int
    """Multiply-accumulate operations; a FLOP count is twice this."""
    activation_bytes: int
    """Bytes of the output of one image."""
    receptive_field: Pair | None
    """Input pixels that one value of the output sees along height and width; `None` if unknown."""
    jump: Pair | None
    """Input pixels from the field of one value to that of the next: the product of the strides."""
    start: tuple[float, float] | None
    """Centre of the first value's field in input pixels; the centre of the first pixel is 0."""

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.weights + self.biases


# Header, text and justification of each column, in the order of a paper's table.
_COLUMNS: tuple[tuple[str, Callable[[LayerRow], str], Literal["left", "center", "right"]], ...] = (
    ("layer", lambda row: row.name, "left"),
    ("kind", lambda row: row.kind, "left"),
    ("kernel", lambda row: _by(row.kernel), "center"),
    ("stride", lambda row: _one(row.stride), "center"),
    ("pad", lambda row: _one(row.padding), "center"),
    ("groups", lambda row: "" if row.groups is None else str(row.groups), "center"),
    ("output", lambda row: "x".join(map(str, row.output)), "right"),
    ("weights", lambda row: f"{row.weights:,}", "right"),
    ("biases", lambda row: f"{row.biases:,}", "right"),
    ("parameters", lambda row: f"{row.parameters:,}", "right"),
    ("MACs", lambda row: f"{row.macs:,}", "right"),
    ("bytes", lambda row: f"{row.activation_bytes:,}", "right"),
    ("field", lambda row: _one(row.receptive_field), "right"),
    ("jump", lambda row: _one(row.jump), "right"),
    ("start", lambda row: _one(row.start), "right"),
)
_OPTIONAL = (
    *("start", "jump", "groups", "pad", "biases", "weights"),
    *("bytes", "field", "kind", "stride", "kernel", "MACs"),
)
"""Columns that a narrow terminal may leave out; the first is left out first."""


@dataclass(frozen=True)
class Trace:
    """Every layer of a network, in the order in which they run."""

    rows: tuple[LayerRow, ...]
    input_shape: tuple[int, ...]
    """(C, H, W) of the image."""
    parameters: int
    """Parameters of the whole network; shared ones count once."""
    macs: int
    """Multiply-accumulate operations for one image, including those outside layers."""

    def __iter__(self) -> Iterator[LayerRow]:
        """The rows."""
        return iter(self.rows)

    def __getitem__(self, name: str) -> LayerRow:
        """The first row whose layer is `name` or ends in `.name`.

        Raises:
            KeyError: there is none; the message lists the names.
        """
        for row in self.rows:
            if row.name == name or row.name.endswith(f".{name}"):
                return row
        raise KeyError(f"no layer {name!r}; there are {', '.join(row.name for row in self.rows)}")

    @property
    def activation_bytes(self) -> int:
        """Bytes of the outputs of all layers together, for one image."""
        return sum(row.activation_bytes for row in self.rows)

    def frame(self) -> pd.DataFrame:
        """The rows as a pandas DataFrame, with the fields of `LayerRow` as columns."""
        import pandas as pd

        columns = [*LayerRow.__dataclass_fields__]
        columns.insert(columns.index("macs"), "parameters")
        return pd.DataFrame(
            [[getattr(row, name) for name in columns] for row in self.rows], columns=columns
        )

    def table(self, title: str | None = None) -> FittingTable:
        """The rows as a table that rich prints in the terminal, with a line of totals."""
        totals = {
            "layer": "total",
            "parameters": f"{self.parameters:,}",
            "MACs": f"{self.macs:,}",
            "bytes": f"{self.activation_bytes:,}",
        }
        columns = [
            Column(header, totals.get(header, ""), justify=justify)
            for header, _, justify in _COLUMNS
        ]
        rows = [[text(row) for _, text, _ in _COLUMNS] for row in self.rows]
        return FittingTable(columns, rows, _OPTIONAL, title)


def trace(
    net: nn.Module, input_size: int | Pair | None = None, in_channels: int | None = None
) -> Trace:
    """Record every layer of `net` for one image: shape, parameters, MACs, memory, receptive field.

    Layers are the modules without children. A module that is called twice has two rows; its
    parameters count in the first. The network runs in evaluation mode on the meta device and is
    unchanged afterwards.

    Args:
        net: any network that takes images (N, C, H, W).
        input_size: side of the square image in pixels, or (height, width); by default
            `net.input_size`, which registered networks have from their card, or else 224.
        in_channels: C; by default what the first convolution that runs needs, and in networks
            without convolutions their attribute `in_channels`.

    Returns:
        A row for each layer, and totals of the network.

    Raises:
        ValueError: the network cannot run on an image of this size without looking at its values,
            a layer returns something other than a tensor, or the number of channels is unknown.

    Example:
        >>> import convnets
        >>> layers = trace(convnets.create_model("alexnet"))
        >>> layers["conv1"].output, layers["conv1"].parameters, layers.macs
        ((96, 55, 55), 34944, 724406816)
    """
    image = image_for(net, input_size, in_channels)
    layers = leaf_modules(net)
    counter, fields = FlopCounterMode(display=False), FieldMode(image)
    rows: list[LayerRow] = []
    flops_before: list[int] = []
    counted: set[str] = set()

    def enter(name: str) -> None:
        flops_before.append(counter.get_total_flops())

    def leave(name: str, output: Tensor) -> None:
        macs = (counter.get_total_flops() - flops_before.pop()) // 2
        owned = {} if name in counted else dict(layers[name].named_parameters())
        counted.add(name)
        rows.append(_row(name, layers[name], output, macs, owned, fields[output]))

    with counter, fields:
        observe_on_meta(net, image, layers, leave, enter)
    return Trace(
        rows=tuple(rows),
        input_shape=tuple(image.shape[1:]),
        parameters=sum(parameter.numel() for parameter in net.parameters()),
        macs=counter.get_total_flops() // 2,
    )


def _row(
    name: str,
    module: nn.Module,
    output: Tensor,
    macs: int,
    parameters: dict[str, nn.Parameter],
    field: Field | Unknown | None,
) -> LayerRow:
    biases = sum(p.numel() for key, p in parameters.items() if key.endswith("bias"))
    return LayerRow(
        name=name,
        kind=type(module).__name__,
        kernel=_pair(module, "kernel_size"),
        stride=_pair(module, "stride"),
        padding=_pair(module, "padding"),
        groups=getattr(module, "groups", None),
        output=tuple(output.shape[1:]),
        weights=sum(p.numel() for p in parameters.values()) - biases,
        biases=biases,
        macs=macs,
        activation_bytes=output[0].numel() * output.element_size(),
        **_of_field(field if output.ndim == 4 else None),
    )


def _of_field(field: Field | Unknown | None) -> dict[str, Any]:
    sides = "no image" if field is None else sides_of(field)
    if isinstance(sides, str):
        return {"receptive_field": None, "jump": None, "start": None}
    height, width = sides
    return {
        "receptive_field": (height.size, width.size),
        "jump": (height.jump, width.jump),
        "start": (height.start, width.start),
    }


def _pair(module: nn.Module, attribute: str) -> Pair | None:
    value = getattr(module, attribute, None)
    if isinstance(value, int):
        return value, value
    return (value[0], value[1]) if isinstance(value, tuple) and len(value) == 2 else None


def _by(pair: tuple[float, float] | None) -> str:
    return "" if pair is None else f"{pair[0]:g}x{pair[1]:g}"


def _one(pair: tuple[float, float] | None) -> str:
    return f"{pair[0]:g}" if pair is not None and pair[0] == pair[1] else _by(pair)
