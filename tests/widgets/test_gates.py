import re

import pytest

import convnets
from convnets.training import load
from convnets.widgets import channel_gates, gate_cost


@pytest.mark.parametrize(
    ("reduction", "millions"), [(2, 45.7), (4, 35.7), (8, 30.7), (16, 28.1), (32, 26.9)]
)
def test_the_totals_agree_with_the_papers_table(reduction, millions):
    """Hu et al., 2018, section 6.4: millions of parameters of SE-ResNet-50 by reduction ratio."""
    text = gate_cost().describe(reduction)
    assert float(re.search(r"Together ([\d.]+) million", text)[1]) == pytest.approx(millions, 0.005)


def test_a_ratio_of_16_adds_the_difference_between_the_cards():
    added = convnets.card("se_resnet50").parameters - convnets.card("resnet50").parameters
    assert f"add {added / 1e6:.2f} million" in gate_cost().describe(16)


@pytest.fixture(scope="module")
def trained():
    return channel_gates()


@pytest.mark.slow
def test_gates_are_drawn_for_every_class(trained):
    for name in load("fashion-mnist-small").classes:
        heights = [bar.get_height() for bar in trained.draw(name).axes[1].patches]
        assert len(heights) == 16
        assert all(0 < height < 1 for height in heights)


@pytest.mark.slow
def test_the_gates_depend_on_the_image(trained):
    first, second = (
        [bar.get_height() for bar in trained.draw(name).axes[1].patches]
        for name in ("Sandal", "Pullover")
    )
    assert max(abs(one - other) for one, other in zip(first, second, strict=True)) > 0.05


@pytest.mark.slow
def test_the_text_names_the_map_with_the_highest_bar(trained):
    heights = [bar.get_height() for bar in trained.draw("Bag").axes[1].patches]
    highest = heights.index(max(heights)) + 1
    assert f"to {max(heights):.2f} (map {highest})" in trained.describe("Bag")
