import pytest

from convnets.widgets import activation_function, convolution_arithmetic, receptive_field_growth

MOST_KILOBYTES = 300


@pytest.mark.parametrize(
    "make", [activation_function, convolution_arithmetic, receptive_field_growth]
)
def test_an_explorer_stays_light_enough_for_a_page(make):
    assert len(make().html()) < MOST_KILOBYTES * 1024


def test_convolution_arithmetic_says_what_fits():
    describe = convolution_arithmetic().describe
    assert "so 4 outputs. It fits exactly." in describe(3, 2, 0)
    assert "so 3 outputs. 2 pixel(s) at the end are never seen." in describe(3, 3, 1)


def test_receptive_fields_are_those_of_the_formula():
    assert "see 7x7 pixels with 27 C^2 weights" in receptive_field_growth().describe(3, 3)


def test_an_activations_flat_part_is_measured():
    describe = activation_function().describe
    assert "on 50% of the inputs" in describe("ReLU")
    assert "at most 0.25" in describe("sigmoid")
