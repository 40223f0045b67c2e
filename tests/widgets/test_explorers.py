import re

import pytest

import convnets.widgets
from convnets.widgets import activation_function, convolution_arithmetic, receptive_field_growth

MAX_KILOBYTES = 300
QUICK = ["activation_function", "gate_cost", "receptive_field_growth"]
SLOW = [
    "channel_gates",
    "convolution_arithmetic",
    "densenet_connections",
    "residual_gradients",
]
# They trace networks. In the built chapters, tests of the site move their sliders.
SLOWEST = ["compound_scaling_growth", "depthwise_cost", "inception_cost"]


def test_the_lists_above_name_every_explorer():
    assert sorted(QUICK + SLOW + SLOWEST) == [
        name for name in convnets.widgets.__all__ if name.islower()
    ]


@pytest.mark.parametrize(
    "name",
    [
        *QUICK,
        *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW),
        *(pytest.param(name, marks=pytest.mark.sweep) for name in SLOWEST),
    ],
)
def test_the_page_of_an_explorer_is_small_and_describes_each_setting(name):
    explorer = getattr(convnets.widgets, name)()
    page = explorer.html()
    assert len(page) < MAX_KILOBYTES * 1024
    texts = re.findall(r'"text": "(.*?)"', page)
    assert len(texts) == len(set(texts)) > 1, "two settings have the same text alternative"


def test_convolution_arithmetic_says_how_many_pixels_are_left_over():
    describe = convolution_arithmetic().describe
    assert "so 4 outputs. It fits exactly." in describe(3, 2, 0)
    assert "so 3 outputs. 2 pixel(s) at the end are never seen." in describe(3, 3, 1)


def test_receptive_fields_agree_with_the_formula():
    assert "see 7x7 pixels with 27 C^2 weights" in receptive_field_growth().describe(3, 3)


def test_the_flat_part_of_an_activation_is_measured():
    describe = activation_function().describe
    assert "on 50% of the inputs" in describe("ReLU")
    assert "at most 0.25" in describe("sigmoid")
