"""Accuracy, cost and size of many networks in one picture, after Canziani et al. (2016)."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal, TypeAlias, get_args

from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.transforms import Bbox

from convnets import registry
from convnets.plots.style import PALETTE, styled

# One or two of each family, from the oldest on.
BUBBLES = (
    "alexnet",
    "zfnet",
    "vgg16",
    "vgg19",
    "googlenet_bn",
    "inception_v4",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet152",
    "se_resnet50",
    "wide_resnet50_2",
    "resnext50_32x4d",
    "densenet121",
    "densenet201",
    "mobilenet_v1",
    "mobilenet_v2",
    "shufflenet_v2_x1_0",
    "efficientnet_b0",
    "efficientnet_b4",
    "efficientnet_b7",
)
AREA = 6.0
"""Square points of a bubble for each million of parameters."""
# First year after a period, its name and colour.
PERIODS = (
    (2015, "to 2014", "white"),
    (2017, "2015, 2016", PALETTE[4]),
    (math.inf, "from 2017", PALETTE[0]),
)
KEY = (5, 25, 100)
"""Millions of parameters of the bubbles that explain the areas."""
Corner: TypeAlias = Literal["lower left", "lower right", "upper left", "upper right"]


def top1_accuracy(card: registry.Card) -> float:
    """Published top-1 accuracy on ImageNet in percent.

    Raises:
        ValueError: nobody published one for this network.
    """
    if card.top1_error is None or card.num_classes != 1000:
        raise ValueError(
            f"{card.name!r} has no published top-1 error on ImageNet; leave it out of this picture"
        )
    return 100 - card.top1_error


def one_crop(card: registry.Card) -> bool:
    """Whether the source of the published error says that it is of one crop an image."""
    return "one crop" in (card.error_source or "")


@styled
def accuracy_bubbles(
    ax: Axes,
    names: Sequence[str] = BUBBLES,
    costs: Mapping[str, float] | None = None,
    label: str = "multiply-accumulates (billions)",
) -> Axes:
    """Top-1 accuracy on ImageNet against a cost; a bubble's area is its parameters.

    Parameters and MACs are those of the cards, accuracies are as published. Their protocols
    differ: the edge of a bubble is dashed unless the source says one crop an image. Colours are
    years of publication.

    Args:
        ax: where to draw, in a figure of its final size: labels are placed beside the bubbles.
        names: of networks.
        costs: of each of them, in the unit that `label` names; billions of MACs if left out.
        label: of the axis of costs.

    Raises:
        ValueError: no name, or a network without a published top-1 error on ImageNet.
    """
    if not names:
        raise ValueError("there is nothing to draw; give at least one of convnets.list_models()")
    cards = sorted((registry.card(name) for name in names), key=lambda card: -card.parameters)
    if costs is None:
        costs = {card.name: card.macs / 1e9 for card in cards}
    points = [(costs[card.name], top1_accuracy(card)) for card in cards]
    areas = [card.parameters / 1e6 * AREA for card in cards]
    for card, (cost, accuracy), area in zip(cards, points, areas, strict=True):
        color = next(color for end, _, color in PERIODS if card.year < end)
        ax.scatter(
            cost,
            accuracy,
            area,
            facecolor=(color, 0.7),
            edgecolor="black",
            linewidth=0.8,
            linestyle="-" if one_crop(card) else (0, (2, 1.5)),
        )
    for _, period, color in PERIODS:
        ax.scatter([], [], 60, facecolor=(color, 0.7), edgecolor="black", label=period)
    empty = partial(ax.scatter, [], [], facecolor="none", edgecolor="black")
    empty(s=60, linestyle=(0, (2, 1.5)), label="not said to be 1 crop")
    for millions in KEY:
        empty(s=millions * AREA, label=f"{millions} million parameters")
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.margins(0.12)
    ax.set_xlabel(label)
    ax.set_ylabel("top-1 accuracy on ImageNet (%)")
    ax.legend(fontsize=8, labelspacing=1.45, borderpad=1.0)
    _label(ax, [card.title for card in cards], points, areas)
    return ax


def _label(
    ax: Axes, texts: list[str], points: list[tuple[float, float]], areas: list[float]
) -> None:
    """Write each text beside its bubble, where it hides least of the others."""
    fig = ax.get_figure(root=True)
    legend = ax.get_legend()
    assert fig is not None
    assert legend is not None
    fig.draw_without_rendering()
    pixel = fig.dpi / 72
    taken = []
    for point, area in zip(points, areas, strict=True):
        (x, y), radius = ax.transData.transform(point), math.sqrt(area / math.pi) * pixel
        taken.append(Bbox([(x - radius, y - radius), (x + radius, y + radius)]))
    taken.append(_move_to_free_corner(legend, taken))
    inside = ax.get_window_extent()
    order = sorted(range(len(texts)), key=lambda index: areas[index])
    for index in order:
        label = ax.annotate(
            texts[index],
            points[index],
            (0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "color": "#666666", "lw": 0.6, "shrinkA": 0},
        )
        box = label.get_window_extent()
        radius = math.sqrt(areas[index] / math.pi)
        best = math.inf
        for distance in (2, 10, 20, 32):
            for angle in range(0, 360, 30):
                shift = _shift(box, radius + distance, math.radians(angle), pixel)
                moved = box.translated(shift[0] * pixel, shift[1] * pixel)
                hidden = sum(_overlap(moved, other) for other in taken)
                outside = moved.width * moved.height - _overlap(moved, inside)
                cost = hidden + 10 * outside + distance * pixel
                if cost < best:
                    best, chosen, place = cost, shift, moved
        label.set_position(chosen)
        taken.append(place)


def _move_to_free_corner(legend: Legend, bubbles: list[Bbox]) -> Bbox:
    """Put the legend where it hides least of the bubbles; the place that it takes."""

    def place(corner: Corner) -> Bbox:
        legend.set_loc(corner)
        return legend.get_window_extent()

    def hidden(corner: Corner) -> float:
        box = place(corner)
        return sum(_overlap(box, bubble) for bubble in bubbles)

    return place(min(get_args(Corner), key=hidden))


def _shift(box: Bbox, distance: float, angle: float, pixel: float) -> tuple[float, float]:
    """How far to move a centred box, in points, to stand `distance` points off at this angle."""
    half_width, half_height = box.width / pixel / 2, box.height / pixel / 2
    return (
        math.cos(angle) * (distance + half_width),
        math.sin(angle) * (distance + half_height),
    )


def _overlap(one: Bbox, other: Bbox) -> float:
    common = Bbox.intersection(one, other)
    return 0.0 if common is None else common.width * common.height
