import re

import pytest

from convnets import card
from convnets.widgets import compound_scaling_growth, depthwise_cost, inception_cost


@pytest.fixture(scope="module")
def inception():
    return inception_cost()


def test_module_3b_costs_what_table_1_of_the_paper_says(inception):
    """Going deeper with convolutions, table 1, row 3b: 380K parameters, 304M operations."""
    text = inception.describe(128, 32)
    assert "388,736 parameters and 304 million MACs" in text
    assert "It outputs 480 maps, the naive module 672." in text


def test_the_naive_module_has_the_lectures_weights_and_biases(inception):
    weights = 256 * (128 + 9 * 192 + 25 * 96)
    assert f"naive module's {weights + 128 + 192 + 96:,}" in inception.describe(64, 64)


def test_the_bars_of_a_module_add_up_to_its_cost(inception):
    fig = inception.draw(64, 64)
    sums = [text.get_text().strip() for text in fig.axes[1].texts]
    assert sums[0] == "854.2"
    shown = re.search(r"and (\d+) million MACs", inception.describe(64, 64))[1]
    assert round(float(sums[1])) == int(shown)


@pytest.mark.parametrize(("kernel_size", "out_channels"), [(3, 32), (5, 512)])
def test_the_measured_ratio_agrees_with_the_rule(kernel_size, out_channels):
    text = depthwise_cost().describe(kernel_size, 128, out_channels)
    measured = float(re.search(r"([\d.]+) of that", text)[1])
    assert measured == pytest.approx(1 / out_channels + 1 / kernel_size**2, abs=1e-3)


def test_the_parts_of_a_separable_convolution_are_drawn():
    ax = depthwise_cost().draw(3, 128, 128).axes[0]
    widths = {each.get_label(): each[1].get_width() for each in ax.containers}
    assert widths["depthwise"] == pytest.approx(9 * 128 * 14**2 / 1e6)
    assert widths["pointwise"] == pytest.approx(128 * 128 * 14**2 / 1e6)


def test_phi_0_is_efficientnet_b0():
    text = compound_scaling_growth().describe(0)
    known = card("efficientnet_b0")
    assert "(16 blocks)" in text
    assert "images of 224 pixels" in text
    assert f"{known.macs / 1e9:.2f} billion" in text
    assert f"{known.parameters / 1e6:.1f} million parameters" in text


@pytest.mark.slow
def test_the_skyline_has_a_bar_for_each_block():
    explorer = compound_scaling_growth()
    blocks = int(re.search(r"\((\d+) blocks\)", explorer.describe(0))[1])
    assert len(explorer.draw(0).axes[0].patches) == blocks
