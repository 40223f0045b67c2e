import itertools
import math

import pytest
from matplotlib.text import Text

import convnets
from convnets.plots import accuracy_bubbles, figure
from convnets.plots.bubbles import AREA, BUBBLES


@pytest.fixture
def ax():
    return figure(width=8, height=5.5).axes[0]


def test_a_bubble_stands_where_its_card_says(ax):
    accuracy_bubbles(ax, ["resnet50"])
    card = convnets.card("resnet50")
    bubble = ax.collections[0]
    assert bubble.get_offsets().tolist() == [[card.macs / 1e9, 100 - card.top1_error]]
    assert bubble.get_sizes().tolist() == [card.parameters / 1e6 * AREA]


def test_another_cost_takes_the_place_of_macs(ax):
    accuracy_bubbles(ax, ["resnet18", "resnet50"], {"resnet18": 2.0, "resnet50": 3.0}, "coins")
    assert [each.get_offsets()[0][0] for each in ax.collections[:2]] == [3.0, 2.0]
    assert ax.get_xlabel() == "coins"


def test_every_network_is_labelled(ax):
    accuracy_bubbles(ax)
    assert {text.get_text() for text in ax.texts} == {convnets.card(name).title for name in BUBBLES}


def test_no_label_hides_another(ax):
    accuracy_bubbles(ax)
    ax.figure.draw_without_rendering()
    # The words alone: an annotation's own box has the line to its bubble in it.
    boxes = [Text.get_window_extent(text) for text in ax.texts]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("cost", ["macs", "parameters", "year"])
def test_the_legend_hides_no_bubble(ax, cost):
    costs = {name: getattr(convnets.card(name), cost) for name in BUBBLES}
    accuracy_bubbles(ax, BUBBLES, costs, cost)
    ax.figure.draw_without_rendering()
    legend = ax.get_legend().get_window_extent()
    bubbles = ax.collections[: len(BUBBLES)]
    middles = ax.transData.transform([each.get_offsets()[0] for each in bubbles])
    for (x, y), each in zip(middles, bubbles, strict=True):
        radius = math.sqrt(each.get_sizes()[0] / math.pi) * ax.figure.dpi / 72
        around = legend.padded(radius)
        assert not around.contains(x, y), f"a bubble at {x}, {y}"


def test_the_edge_says_whether_the_accuracy_is_of_one_crop(ax):
    accuracy_bubbles(ax, ["resnet50", "resnet34"])
    one_crop, ten_crops = (each.get_linestyle()[0][1] for each in ax.collections[:2])
    assert one_crop is None
    assert ten_crops is not None


@pytest.mark.parametrize("name", ["resnet20", "googlenet", "lenet5"])
def test_a_network_without_an_imagenet_error_is_refused(ax, name):
    with pytest.raises(ValueError, match="no published top-1 error on ImageNet"):
        accuracy_bubbles(ax, [name])


def test_no_names_are_refused(ax):
    with pytest.raises(ValueError, match="nothing to draw"):
        accuracy_bubbles(ax, [])


def test_the_text_alternative_names_places(ax):
    accuracy_bubbles(ax, ["resnet50"])
    assert "ResNet-50 at (4.09, 76.1)" in ax.figure.alternative
