"""What the rows of a trace say together."""

from torch import nn

from convnets.analysis import LayerRow, ReceptiveField, Trace
from convnets.analysis.layer_rows import OUTSIDE


def maps(result: Trace) -> list[LayerRow]:
    """The rows of maps with a field."""
    return [row for row in result if len(row.output) == 3 and row.receptive_field]


def fields_at_the_end(result: Trace, layer: str, sides: tuple[int, int]) -> list[ReceptiveField]:
    """The field of the last map with these sides inside a layer, and the largest of them.

    Where branches meet outside of layers, their sum has the largest field of the branches. There
    are none if a layer inside returns tokens, (tokens, features): the last map may be made of them.
    """
    before = f"{layer}." if layer else ""
    inside = [row for row in result if row.name == layer or row.name.startswith(before)]
    last = [
        ReceptiveField(row.receptive_field[0], row.jump[0], row.start[0])
        for row in inside
        if row.receptive_field and row.output[1:] == sides
    ]
    if not last or any(len(row.output) == 2 for row in inside):
        return []
    return [last[-1], max(last, key=lambda field: field.size)]


def check_sums(result: Trace, net: nn.Module, macs: int) -> None:
    """The rows add up to the totals, and these are what PyTorch counts."""
    assert sum(row.parameters for row in result) == result.parameters
    assert result.parameters == sum(parameter.numel() for parameter in net.parameters())
    assert sum(row.macs for row in result) == result.macs == macs
    assert sum(row.saved_bytes for row in result) == result.saved_bytes > 0
    assert 0 < max(row.peak_bytes for row in result) <= result.peak_bytes
    assert all(min(row.weights, row.biases, row.macs, row.saved_bytes) >= 0 for row in result)
    names = [row.name for row in result]
    assert OUTSIDE not in names[:-1]
    assert all(row.kind for row in result if row.name != OUTSIDE)
