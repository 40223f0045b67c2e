import itertools
import math
import sys
from functools import cache

import pytest
from matplotlib.text import Text

import convnets
from convnets.plots import accuracy_bubbles, figure
from convnets.plots.bubbles import AREA, BUBBLES
from tests.conftest import traced

pytestmark = pytest.mark.xdist_group("bubbles")  # they share figures

FEW = (
    "alexnet",
    "vgg16",
    "googlenet_bn",
    "resnet18",
    "resnet50",
    "densenet121",
    "mobilenet_v2",
    "efficientnet_b0",
)
SCALED = (
    "googlenet_bn",
    "resnet18",
    "resnet50",
    "resnet152",
    "densenet121",
    "mobilenet_v2",
    *(f"efficientnet_b{number}" for number in range(6)),
)
# Networks, cost, width and height in inches of the figures in chapters 9 and 14.
COURSE = {
    "chapter 9": (BUBBLES, "macs", 8.5, 5.6),
    "chapter 9, MACs": (FEW, "macs", 7, 4.6),
    "chapter 9, parameters": (FEW, "parameters", 7, 4.6),
    "chapter 9, memory": (FEW, "memory", 7, 4.6),
    "chapter 14": (SCALED, "macs", 7.5, 5),
}


each = pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=pytest.mark.sweep if "memory" in case else ())
        for case in COURSE.values()
    ],
    ids=COURSE,
)  # memory takes a trace of every network


@cache
def cost_of(name, cost):
    """Millions of parameters, billions of MACs, or MiB of all layers' outputs."""
    card = convnets.card(name)
    if cost == "memory":
        return sum(layer.activation_bytes for layer in traced(name)) / 2**20
    return card.macs / 1e9 if cost == "macs" else card.parameters / 1e6


@cache
def draw_course_figure(names, cost, width, height):
    ax = figure(width=width, height=height).axes[0]
    accuracy_bubbles(ax, names, {name: cost_of(name, cost) for name in names}, cost)
    ax.figure.draw_without_rendering()
    return ax


def words(ax):
    """Extents of the labels' words, in pixels."""
    return [Text.get_window_extent(text) for text in ax.texts]


def circles(ax, count):
    """Centre and radius of each bubble, in pixels."""
    for bubble in ax.collections[:count]:
        x, y = ax.transData.transform(bubble.get_offsets()[0])
        yield x, y, math.sqrt(bubble.get_sizes()[0] / math.pi) * ax.figure.dpi / 72


def distance(box, x, y):
    """From a point to the nearest point of a box, in pixels; 0 inside the box."""
    return math.hypot(max(box.x0 - x, 0, x - box.x1), max(box.y0 - y, 0, y - box.y1))


@pytest.fixture
def ax():
    return figure(width=8, height=5.5).axes[0]


def test_a_bubble_is_placed_and_sized_by_its_card(ax):
    accuracy_bubbles(ax, ["resnet50"])
    card = convnets.card("resnet50")
    bubble = ax.collections[0]
    assert bubble.get_offsets().tolist() == [[card.macs / 1e9, 100 - card.top1_error]]
    assert bubble.get_sizes().tolist() == [card.parameters / 1e6 * AREA]


def test_another_cost_replaces_macs(ax):
    accuracy_bubbles(ax, ["resnet18", "resnet50"], {"resnet18": 2.0, "resnet50": 3.0}, "seconds")
    assert [each.get_offsets()[0][0] for each in ax.collections[:2]] == [3.0, 2.0]
    assert ax.get_xlabel() == "seconds"


def test_every_network_is_labelled(ax):
    accuracy_bubbles(ax)
    assert {text.get_text() for text in ax.texts} == {convnets.card(name).title for name in BUBBLES}


@each
def test_labels_overlap_neither_each_other_nor_a_bubble(case):
    ax = draw_course_figure(*case)
    boxes, bubbles = words(ax), list(circles(ax, len(case[0])))
    assert len(boxes) == len(bubbles) == len(case[0])
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    for text, box in zip(ax.texts, boxes, strict=True):
        for x, y, radius in bubbles:
            assert distance(box, x, y) >= radius - 0.5, text.get_text()


@each
def test_labels_stay_inside_the_axes(case):
    ax = draw_course_figure(*case)
    inside = ax.get_window_extent().padded(1)
    for text, box in zip(ax.texts, words(ax), strict=True):
        assert inside.contains(*box.min), text.get_text()
        assert inside.contains(*box.max), text.get_text()


def test_the_same_figure_is_drawn_each_time():
    case = COURSE["chapter 9"]
    again = draw_course_figure.__wrapped__(*case)
    assert again.figure.png() == draw_course_figure(*case).figure.png()


@each
def test_the_legend_hides_neither_bubbles_nor_labels(case):
    ax = draw_course_figure(*case)
    legend = ax.get_legend().get_window_extent()
    for x, y, radius in circles(ax, len(case[0])):
        assert distance(legend, x, y) >= radius, f"a bubble at {x}, {y}"
    assert not any(legend.overlaps(box) for box in words(ax))


def test_without_adjusttext_the_error_says_what_to_install(ax, monkeypatch):
    monkeypatch.setitem(sys.modules, "adjustText", None)
    with pytest.raises(ImportError, match=r'pip install "convnets\[plots\]"'):
        accuracy_bubbles(ax, ["resnet50"])


def test_the_edge_is_dashed_unless_the_source_states_one_crop(ax):
    accuracy_bubbles(ax, ["resnet50", "resnet34"])
    one_crop, ten_crops = (each.get_linestyle()[0][1] for each in ax.collections[:2])
    assert one_crop is None
    assert ten_crops is not None


@pytest.mark.parametrize("name", ["resnet20", "googlenet", "lenet5"])
def test_a_network_without_an_imagenet_error_is_refused(ax, name):
    with pytest.raises(ValueError, match="no published top-1 error on ImageNet"):
        accuracy_bubbles(ax, [name])


def test_an_empty_list_of_names_is_refused(ax):
    with pytest.raises(ValueError, match="names is empty"):
        accuracy_bubbles(ax, [])


def test_the_text_alternative_gives_the_coordinates(ax):
    accuracy_bubbles(ax, ["resnet50"])
    assert "ResNet-50 at (4.09, 76.1)" in ax.figure.alternative
