"""Follow one image through a network and write down every layer: shape, parameters, MACs, memory.

The network runs on the meta device, so nothing is computed and even the largest takes a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rich.table import Table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from convnets.analysis.fields import Field, FieldMode, Unknown
from convnets.analysis.meta import Pair, image_for, run
from convnets.analysis.receptive_field import along

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LayerRow:
    """One layer, for one image. A size that a layer does not have is `None`."""

    name: str
    kind: str
    kernel: Pair | None
    stride: Pair | None
    padding: Pair | None
    groups: int | None
    output: tuple[int, ...]
    """(C, H, W) of a feature map, (features,) behind the last one."""
    weights: int
    biases: int
    macs: int
    """Multiply-accumulates; a FLOP count is twice this."""
    activation_bytes: int
    """Bytes of the output."""
    receptive_field: Pair | None
    """Pixels that one value of the output sees along height and width; `None` if unknown."""
    jump: Pair | None
    """Pixels from the field of one value to that of the next, the product of the strides."""
    start: tuple[float, float] | None
    """Centre of the first value's field; the centre of the image's first pixel is 0."""

    @property
    def parameters(self) -> int:
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


@dataclass(frozen=True)
class Trace:
    """Every layer of a network, in the order in which an image passes it."""

    rows: tuple[LayerRow, ...]
    input_shape: tuple[int, ...]
    """(C, H, W)"""
    parameters: int
    """Parameters of the whole network, each shared one counted once."""
    macs: int
    """Multiply-accumulates of one image, with operations outside layers."""

    def __iter__(self) -> Iterator[LayerRow]:
        return iter(self.rows)

    def __getitem__(self, name: str) -> LayerRow:
        """The row of the layer `name`, or of the first whose name ends in `.name`."""
        for row in self.rows:
            if row.name == name or row.name.endswith(f".{name}"):
                return row
        raise KeyError(f"no layer {name!r}; there are {', '.join(row.name for row in self.rows)}")

    @property
    def activation_bytes(self) -> int:
        """Bytes of all layers' outputs together."""
        return sum(row.activation_bytes for row in self.rows)

    def frame(self) -> pd.DataFrame:
        """A pandas frame with a row for each layer."""
        import pandas as pd

        columns = [*LayerRow.__dataclass_fields__]
        columns.insert(columns.index("macs"), "parameters")
        return pd.DataFrame(
            [[getattr(row, name) for name in columns] for row in self.rows], columns=columns
        )

    def table(self, title: str | None = None) -> Table:
        """A table for the terminal, with a line of totals."""
        totals = {
            "layer": "total",
            "parameters": f"{self.parameters:,}",
            "MACs": f"{self.macs:,}",
            "bytes": f"{self.activation_bytes:,}",
        }
        table = Table(title=title, show_footer=True)
        for header, _, justify in _COLUMNS:
            table.add_column(header, totals.get(header, ""), justify=justify, no_wrap=True)
        for row in self.rows:
            table.add_row(*(text(row) for _, text, _ in _COLUMNS))
        return table


def trace(net: nn.Module, input_size: int | Pair = 224) -> Trace:
    """Every layer of `net` for one image.

    Works on any module that takes images (N, C, H, W). Layers are the modules without children. A
    module that is called twice has two rows; its parameters stand in the first. The network, its
    mode and its weights are left as they are.

    Args:
        net: the network; the number of input channels is its `in_channels`, else its first
            convolution's.
        input_size: side of the square image in pixels, or (height, width).

    Raises:
        ValueError: the network cannot run on an image of this size without looking at its values.
    """
    image = image_for(net, input_size)
    layers = {module: name for name, module in net.named_modules() if not any(module.children())}
    counter, fields = FlopCounterMode(display=False), FieldMode(image)
    rows: list[LayerRow] = []
    flops_before: list[int] = []
    counted: set[nn.Module] = set()

    def enter(module: nn.Module, inputs: Any) -> None:
        flops_before.append(counter.get_total_flops())

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        macs = (counter.get_total_flops() - flops_before.pop()) // 2
        owned = {} if module in counted else dict(module.named_parameters())
        counted.add(module)
        name = layers[module]
        if not isinstance(output, Tensor):
            raise ValueError(
                f"layer {name!r} returns a {type(output).__name__}, not a tensor; "
                "trace follows tensors only"
            )
        rows.append(_row(name, module, output, macs, owned, fields[output]))

    hooks = [module.register_forward_pre_hook(enter) for module in layers]
    hooks += [module.register_forward_hook(leave) for module in layers]
    try:
        with counter, fields:
            run(net, image)
    finally:
        for hook in hooks:
            hook.remove()
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
    field: Field | None,
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


def _of_field(field: Field | None) -> dict[str, Any]:
    if field is None or isinstance(field, Unknown):
        return {"receptive_field": None, "jump": None, "start": None}
    height, width = (along(axis) for axis in field)
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
