"""The last map of a network is the same for `receptive_field` and `trace`, and for the gradient."""

import re

import pytest
from torch import nn

import convnets
from convnets.analysis import (
    LayerRow,
    ReceptiveField,
    Trace,
    numerical_receptive_field,
    receptive_field,
    trace,
)
from tests.analysis.public_networks import TIMM, TORCHVISION, public
from tests.conftest import on_meta, traced

PUBLIC = [("torchvision", name) for name in TORCHVISION] + [("timm", name) for name in TIMM]
MOST_MACS = 1.5e9
REFUSED = r"cannot be given|not square|no map that depends on the image|cannot take an image"


def maps(result: Trace) -> list[LayerRow]:
    """Rows of maps with several places, without the pool that fits the last one to a classifier."""
    return [
        row
        for row in result
        if len(row.output) == 3
        and row.output[1:] != (1, 1)
        and row.receptive_field
        and not row.kind.startswith("Adaptive")
    ]


def last_map(result: Trace) -> ReceptiveField:
    """The largest field of the rows whose maps are as large as the last ones."""
    size = maps(result)[-1].output[1:]
    largest = max(
        (row for row in maps(result) if row.output[1:] == size),
        key=lambda row: row.receptive_field,
    )
    return ReceptiveField(largest.receptive_field[0], largest.jump[0], largest.start[0])


def field_or_reason(net: nn.Module, side: int) -> ReceptiveField | str:
    """The field of the last map, or why it is refused."""
    try:
        return receptive_field(net, input_size=side)
    except ValueError as error:
        return str(error)


@pytest.mark.slow
@pytest.mark.parametrize("name", convnets.list_models())
def test_the_last_map_is_that_of_the_trace(name):
    if name == "lenet5":  # its last maps have one place
        assert receptive_field(on_meta(name)).size == traced(name)["c5"].receptive_field[0]
    else:
        assert receptive_field(on_meta(name)) == last_map(traced(name))


@pytest.mark.sweep
@pytest.mark.parametrize(("library", "name"), PUBLIC)
def test_the_last_map_of_public_networks_is_that_of_the_trace_or_refused(library, name):
    net, side = public(library, name)
    found = field_or_reason(net, side)
    if isinstance(found, str):
        assert re.search(REFUSED, found)
    else:
        assert found == last_map(trace(net, side))


@pytest.mark.sweep
@pytest.mark.parametrize(("library", "name"), PUBLIC)
def test_a_field_inside_public_networks_is_the_gradients(library, name):
    net, side = public(library, name)
    result = trace(net, side)
    inside = [row for row in maps(result) if 1 < row.receptive_field[0] < 0.7 * side]
    if result.macs > MOST_MACS or not inside:
        pytest.skip("the run on numbers takes too long, or all layers see the whole image")
    deepest = max(inside, key=lambda row: row.receptive_field)
    formula = receptive_field(net, deepest.name, side).size
    assert numerical_receptive_field(net, deepest.name, side) == formula
