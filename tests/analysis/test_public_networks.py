"""Traces and fields of public networks: equal to what PyTorch counts and to the gradient's fields.

All classification networks of torchvision and one of each family of timm.
"""

import re
from dataclasses import dataclass
from functools import cached_property

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from convnets.analysis import Trace, numerical_receptive_field, trace
from convnets.analysis.fields import Field, Unknown
from convnets.analysis.observing import in_mode
from convnets.analysis.receptive_field import field_of, sides_of
from tests.analysis.public_networks import PUBLIC, on_meta, side, with_constants
from tests.analysis.rows import check_sums, fields_at_the_end, maps

pytestmark = pytest.mark.sweep

REASONS = {
    "class tokens": r"aten\.cat adds values that see no pixel",
    "attention": r"tensors meet that hold the (height|width) of the image in different places",
    "tokens": r"fields of neighbours along the (height|width) lie at odd distances",
    "patches": r"several dimensions of a tensor follow the (height|width)",
    "interpolation": r"the field of aten\.upsample_(bilinear|bicubic)2d\.default is unknown",
    "overlapping patches": r"the field of aten\.col2im\.default is unknown",
    "transposed convolution": r"a transposed convolution has no single window",
}
"""Why a field is refused, by what the network does."""

MOST_MACS = 2.5e9
SIDES = (128, 64)
"""Smaller images, for networks with more operations."""


@dataclass
class Public:
    """A public network, built and traced when it is needed first."""

    name: str

    @cached_property
    def side(self) -> int:
        return side(self.name)

    @cached_property
    def net(self) -> nn.Module:
        return on_meta(self.name)

    @cached_property
    def channels(self) -> int | None:
        """None if the first convolution tells them."""
        return None if any(isinstance(m, nn.Conv2d) for m in self.net.modules()) else 3

    @cached_property
    def trace(self) -> Trace:
        return trace(self.net, self.side, self.channels)

    @cached_property
    def last(self) -> tuple[str, Field | Unknown]:
        """The name of the last map, and its field."""
        return field_of(self.net, None, self.side, self.channels)


@pytest.fixture(
    scope="module", params=[pytest.param(n, marks=pytest.mark.xdist_group(n)) for n in PUBLIC]
)
def public(request) -> Public:
    return Public(request.param)


def test_the_rows_add_up_to_what_pytorch_counts(public):
    image = torch.empty(1, *public.trace.input_shape, device="meta")
    with in_mode(public.net, training=False), FlopCounterMode(display=False) as counter:
        public.net(image)
    check_sums(public.trace, public.net, counter.get_total_flops() // 2)
    assert public.trace.input_shape == (3, public.side, public.side)
    assert public.trace.saved_bytes > 0


def test_the_last_map_is_that_of_the_trace_or_refused(public):
    name, field = public.last
    sides = sides_of(field)
    if isinstance(sides, str):
        assert any(re.search(reason, sides) for reason in REASONS.values())
    else:
        assert sides[0] == sides[1]
        found = fields_at_the_end(public.trace, name, field.shape[2:])
        assert sides[0] in found or not found


def affordable(public: Public) -> int | None:
    """The side of the largest images whose run on numbers is short."""
    for size in (public.side, *SIDES):
        if public.trace.macs * (size / public.side) ** 2 <= MOST_MACS:
            return size
    return None


def test_a_field_inside_the_image_is_the_gradients(public):
    size = affordable(public)
    if size is None:
        pytest.skip("a run on numbers takes too long")
    try:
        result = public.trace if size == public.side else trace(public.net, size, public.channels)
    except ValueError as error:
        pytest.skip(f"a run on numbers takes too long for larger images, and {error}")
    inside = [row for row in maps(result) if 1 < row.receptive_field[0] < 0.7 * size]
    if not inside:
        pytest.skip("no layer returns a map that sees a part of the image")
    deepest = max(inside, key=lambda row: row.receptive_field)
    net = with_constants(public.name)
    found = numerical_receptive_field(net, deepest.name, size, public.channels)
    assert found == deepest.receptive_field[0]
