"""Accuracy, cost and size of many networks in one picture, after Canziani et al. (2016)."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from convnets import registry
from convnets.plots.style import PALETTE, styled

# One or two networks of each family, in order of publication.
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
"""Area of a bubble in square points for each million parameters."""
# First year after the period, the name of the period, its colour.
PERIODS = (
    (2015, "up to 2014", "white"),
    (2017, "2015, 2016", PALETTE[4]),
    (math.inf, "from 2017", PALETTE[0]),
)
KEY = (5, 25, 100)
"""Sizes of the bubbles in the legend, in millions of parameters."""


def top1_accuracy(card: registry.Card) -> float:
    """Published top-1 accuracy on ImageNet, in percent.

    Raises:
        ValueError: the card has no published top-1 error on ImageNet's 1000 classes.
    """
    if card.top1_error is None or card.num_classes != 1000:
        raise ValueError(
            f"{card.name!r} has no published top-1 error on ImageNet; leave it out of this figure"
        )
    return 100 - card.top1_error


def one_crop(card: registry.Card) -> bool:
    """Whether the source of the published error states that one crop per image was used.

    Example:
        >>> import convnets
        >>> one_crop(convnets.card("alexnet_one_tower")), one_crop(convnets.card("alexnet"))
        (True, False)
    """
    return "one crop" in (card.error_source or "")


@styled
def accuracy_bubbles(
    ax: Axes,
    names: Sequence[str] = BUBBLES,
    costs: Mapping[str, float] | None = None,
    label: str = "multiply-accumulates (billions)",
) -> Axes:
    """Draw top-1 accuracy on ImageNet against a cost, one bubble for each network.

    The area of a bubble is proportional to the number of parameters, its colour is the year of
    publication. Parameters and MACs come from the cards; accuracies are as published. Evaluation
    protocols differ: the edge of a bubble is dashed unless the source states one crop per image.
    The figure follows slide 46 (Canziani et al., 2016, figure 2).

    Args:
        ax: axes to draw on. The figure must have its final size, because labels are placed so that
            they do not overlap.
        names: registered names of the networks.
        costs: cost of each network, in the unit that `label` names; by default its MACs in
            billions.
        label: label of the cost axis, with its unit.

    Raises:
        ImportError: adjustText is not installed.
        ValueError: `names` is empty, or a network has no published top-1 error on ImageNet.

    Example:
        >>> from convnets.plots import figure
        >>> ax = accuracy_bubbles(figure().axes[0], ("alexnet", "vgg16", "resnet50"))
        >>> ax.get_ylabel()
        'top-1 accuracy on ImageNet (%)'
    """
    if not names:
        raise ValueError("names is empty; give at least one of convnets.list_models()")
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
    empty(s=60, linestyle=(0, (2, 1.5)), label="not stated as one crop")
    for millions in KEY:
        empty(s=millions * AREA, label=f"{millions} million parameters")
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.margins(0.12)
    ax.set_xlabel(label)
    ax.set_ylabel("top-1 accuracy on ImageNet (%)")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, fontsize=8, frameon=False)
    _label(ax, [card.title for card in cards], points, areas)
    return ax


def _label(
    ax: Axes, texts: list[str], points: list[tuple[float, float]], areas: list[float]
) -> None:
    """Write each text beside its bubble, clear of the other texts and bubbles.

    Args:
        ax: axes whose limits and size are final.
        texts: one text for each bubble.
        points: centres of the bubbles in data coordinates.
        areas: areas of the bubbles in square points.
    """
    try:
        from adjustText import adjust_text
    except ImportError as error:
        raise ImportError(
            'accuracy_bubbles needs adjustText; install it with `pip install "convnets[plots]"`'
        ) from error
    fig = ax.get_figure(root=True)
    assert fig is not None
    fig.draw_without_rendering()
    to_data = ax.transData.inverted()
    bubbles = []
    for point, area in zip(points, areas, strict=True):
        (x, y), radius = ax.transData.transform(point), math.sqrt(area / math.pi) * fig.dpi / 72
        bubbles.append(
            Bbox(to_data.transform([(x - radius, y - radius), (x + radius, y + radius)]))
        )
    labels = [
        ax.annotate(text, point, point, ha="center", va="center", fontsize=8)
        for text, point in zip(texts, points, strict=True)
    ]
    # These forces keep the course's own figures free of overlaps (tests/plots/test_bubbles.py).
    # The limit counts steps, not seconds, so that the figure is the same on every machine.
    adjust_text(
        labels,
        objects=bubbles,
        avoid_self=False,
        force_explode=0.8,
        force_text=(0.2, 0.4),
        force_static=(0.2, 0.4),
        expand=(1.1, 1.4),
        max_move=50,
        iter_lim=300,
        ax=ax,
        arrowprops={"arrowstyle": "-", "color": "#666666", "lw": 0.6},
    )
