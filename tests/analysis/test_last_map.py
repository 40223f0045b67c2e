"""The last map of a network is the same for `receptive_field` and `trace`."""

import pytest

import convnets
from convnets.analysis import receptive_field
from convnets.analysis.receptive_field import field_of
from tests.analysis.rows import fields_at_the_end
from tests.conftest import on_meta, traced


@pytest.mark.slow
@pytest.mark.parametrize("name", convnets.list_models())
def test_the_last_map_is_that_of_the_trace(name):
    layer, field = field_of(on_meta(name), None, None, None)
    found = fields_at_the_end(traced(name), layer, field.shape[2:])
    assert receptive_field(on_meta(name)) in found
