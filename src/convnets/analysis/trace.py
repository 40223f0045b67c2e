"""Follow one image through a network and record every layer: shape, parameters, MACs, memory.

The network runs on the meta device, where nothing is computed, so even the largest takes at most a
few seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rich.table import Column
from torch import nn

from convnets.analysis.layer_rows import LayerRow, layer_rows
from convnets.analysis.memory import held_in_layers, saved_in_layers
from convnets.analysis.meta import Pair, image_for
from convnets.analysis.observing import layer_modules
from convnets.tables import FittingTable

if TYPE_CHECKING:
    import pandas as pd

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
    ("saved", lambda row: _count(row.saved_bytes), "right"),
    ("peak", lambda row: _count(row.peak_bytes), "right"),
    ("field", lambda row: _one(row.receptive_field), "right"),
    ("jump", lambda row: _one(row.jump), "right"),
    ("start", lambda row: _one(row.start), "right"),
)
_OPTIONAL = (
    *("start", "jump", "groups", "pad", "biases", "weights"),
    *("peak", "bytes", "saved", "field", "kind", "stride", "kernel", "MACs"),
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
    saved_bytes: int | None
    """Bytes that autograd keeps for the backward pass, as `saved_for_backward` returns."""
    peak_bytes: int | None
    """The most bytes that inference holds at any time, as `inference_peak` returns."""

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
            "saved": _count(self.saved_bytes),
            "peak": _count(self.peak_bytes),
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

    Layers are the modules without children, and those with children that own parameters. A module
    that is called twice has two rows. Each parameter counts once, in the first row of the module
    that owns it, or of the nearest layer around it if this module does not run by itself. With what
    lies outside layers, in the last row, the rows add up to the totals. The network runs in
    evaluation mode, for `saved_bytes` in training mode, and is unchanged afterwards.

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
            or the number of channels is unknown.

    Example:
        >>> import convnets
        >>> layers = trace(convnets.create_model("alexnet"))
        >>> layers["conv1"].output, layers["conv1"].parameters, layers.macs
        ((96, 55, 55), 34944, 724406816)
    """
    image = image_for(net, input_size, in_channels)
    layers = layer_modules(net)
    saved, peaks = (
        _unless_refused(measure, net, image, layers)
        for measure in (saved_in_layers, held_in_layers)
    )
    rows = layer_rows(net, image, layers, saved, peaks)
    return Trace(
        rows=rows,
        input_shape=tuple(image.shape[1:]),
        parameters=sum(parameter.numel() for parameter in net.parameters()),
        macs=sum(row.macs for row in rows),
        saved_bytes=None if saved is None else sum(saved.values()),
        peak_bytes=None if peaks is None else max(peaks.values()),
    )


def _unless_refused(
    measure: Callable[..., dict[str, int]], *arguments: Any
) -> dict[str, int] | None:
    """What `measure` returns; `None` for networks that it cannot measure."""
    try:
        return measure(*arguments)
    except ValueError:
        return None


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _by(pair: tuple[float, float] | None) -> str:
    return "" if pair is None else f"{pair[0]:g}x{pair[1]:g}"


def _one(pair: tuple[float, float] | None) -> str:
    return f"{pair[0]:g}" if pair is not None and pair[0] == pair[1] else _by(pair)
