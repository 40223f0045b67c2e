"""Fields of random networks are those of the gradient, or refused; none is wrong."""

import numpy as np
import pytest

from convnets.analysis.fields import Unknown
from convnets.analysis.receptive_field import field_of, sides_of
from convnets.analysis.spans import Kind, Span
from tests.analysis.random_graphs import SIDE, RandomGraph, pixels_with_a_gradient


def centre(span: Span, shape: tuple[int, ...]) -> dict[int, int]:
    """The dimension that follows a side of the image, and the number of its central place."""
    if len(span.dims) == 1:
        return {span.dims[0]: shape[span.dims[0]] // 2}
    return {}


def outcome(seed: int) -> str:
    """Whether the field of the last map is what the gradient says."""
    net = RandomGraph(seed)
    _, field = field_of(net, "last", SIDE, None)
    reason = field.reason if isinstance(field, Unknown) else sides_of(field)
    if isinstance(reason, str):
        return f"refused: {reason}"
    middle = centre(field.height, field.shape) | centre(field.width, field.shape)
    for span, found in zip(field.spans, pixels_with_a_gradient(net, middle), strict=True):
        place = [middle.get(dim, slice(None)) for dim in range(len(field.shape))]
        rows = np.broadcast_to(span.rows, (5, *field.shape))[(slice(None), *place)].reshape(5, -1)
        seen = (rows[0].min(), -rows[1].min())
        low, high, jump = span.measured()
        shift = jump * max(centre(span, field.shape).values(), default=0)
        formula = (low, high) if span.kind is not Kind.MOVING else (low + shift, high + shift)
        inside = formula[0] >= 0 and formula[1] < SIDE
        covered = formula[0] <= found[0] and found[1] <= formula[1]
        if seen != found or (formula != found if inside else not covered):
            return f"{seen} and {formula} for {found}"
    return "equal"


@pytest.mark.parametrize(
    "seeds",
    [range(60), pytest.param(range(60, 1100), marks=[pytest.mark.sweep])],
    ids=["few", "many"],
)
def test_the_field_of_a_random_network_is_the_gradients_or_refused(seeds):
    outcomes = {seed: outcome(seed) for seed in seeds}
    wrong = {
        seed: text for seed, text in outcomes.items() if not text.startswith(("equal", "refused"))
    }
    assert not wrong
    assert sum(text == "equal" for text in outcomes.values()) >= 0.6 * len(seeds)
