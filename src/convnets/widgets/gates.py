"""Explorers of squeeze-and-excitation: the cost of the gates and their values."""

from collections import OrderedDict
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor, nn

from convnets import registry
from convnets.analysis import excitations
from convnets.layers import ImageClassifier, SqueezeExcite, conv_norm_act
from convnets.models.resnet import TABLE_1
from convnets.plots import CourseFigure, figure, gate_bars, stacked_bars
from convnets.seeding import fixed_seed
from convnets.training import Recipe, Split, fit, load
from convnets.widgets.explorer import Explorer

MAPS, HIDDEN = 16, 2
TRAINED_ON = 3000


def gate_cost() -> Explorer:
    """Explore the parameters that gates add to ResNet-50, by reduction ratio (slides 49 and 50).

    Example:
        >>> list(gate_cost().controls)
        ['reduction']
    """
    base = registry.card("resnet50").parameters

    @cache
    def added(reduction: int) -> dict[str, int]:
        """Number of parameters of all gates in each stage of SE-ResNet-50."""
        found = {}
        depths, widths = TABLE_1[50]
        for depth, width in zip(depths, widths[1:], strict=True):
            with torch.device("meta"):
                gate = SqueezeExcite(width, width // reduction)
            size = sum(parameter.numel() for parameter in gate.parameters())
            found[f"{depth} blocks of {width}"] = depth * size
        return found

    def draw(reduction: int) -> CourseFigure:
        fig = figure(width=6.5, height=2.4)
        bars = {name: {"gates": count / 1e6} for name, count in added(reduction).items()}
        ax = stacked_bars(fig.axes[0], bars, "parameters of the gates (millions)")
        ax.set_xlim(0, 1.15 * max(added(2).values()) / 1e6)
        return fig

    def describe(reduction: int) -> str:
        total = sum(added(reduction).values())
        last = list(added(reduction).values())[-1] / total
        return (
            f"Reduction by r = {reduction}: gates add {total / 1e6:.2f} million parameters to "
            f"ResNet-50's {base / 1e6:.1f} million ({total / base:.1%}), {last:.0%} of them in the "
            f"last stage. Together {(base + total) / 1e6:.1f} million."
        )

    return Explorer(
        "Parameters of squeeze-and-excitation",
        draw,
        describe,
        {"reduction": [2, 4, 8, 16, 32]},
        start={"reduction": 16},
    )


def channel_gates() -> Explorer:
    """Explore the gates of a small network for one image of each class of Fashion-MNIST.

    The network is trained for a few seconds when the first figure is drawn.

    Example:
        >>> list(channel_gates().controls)
        ['image']
    """
    data = load("fashion-mnist-small")
    first = torch.stack([(data.test.labels == k).nonzero()[0, 0] for k in range(10)])

    @cache
    def gates() -> tuple[Tensor, Tensor]:
        """Gates of one image of each class (10, C), and their mean over all test images (C,)."""
        net = _trained()
        images = (data.test.images / 255 - data.mean) / data.std
        (each,) = excitations(net, images[first], data.test.labels[first]).values()
        (mean,) = excitations(net, images, torch.zeros(len(images))).values()
        return each, mean[0]

    def draw(image: str) -> CourseFigure:
        index = data.classes.index(image)
        each, mean = gates()
        fig = figure(1, 2, width=7, height=2.6)
        fig.axes[0].imshow(data.test.images[first[index], 0].numpy(), cmap="gray")
        fig.axes[0].axis("off")
        fig.axes[0].set_title(image)
        gate_bars(fig.axes[1], each[index], mean)
        return fig

    def describe(image: str) -> str:
        each, mean = gates()
        opened = each[data.classes.index(image)]
        other = int((opened - mean).abs().argmax())
        return (
            f"{image}: the gates of {MAPS} maps open from {opened.min():.2f} (map "
            f"{opened.argmin() + 1}) to {opened.max():.2f} (map {opened.argmax() + 1}). Map "
            f"{other + 1} differs most from the mean over all images: {opened[other]:.2f} instead "
            f"of {mean[other]:.2f}."
        )

    return Explorer(
        "Gates of a small squeeze-and-excitation network",
        draw,
        describe,
        {"image": list(data.classes)},
        start={"image": "Sneaker"},
    )


def _trained() -> ImageClassifier:
    """A network of two convolutions and a gate, trained for a few seconds on the CPU."""
    data = load("fashion-mnist-small")
    few = replace(
        data,
        train=Split(data.train.images[:TRAINED_ON], data.train.labels[:TRAINED_ON]),
        test=Split(data.test.images[:100], data.test.labels[:100]),
    )
    with fixed_seed(1):
        features = OrderedDict(
            conv1=conv_norm_act(1, MAPS, 5, stride=2),  # 14
            conv2=conv_norm_act(MAPS, MAPS, 3, stride=2),  # 7
            gate=SqueezeExcite(MAPS, HIDDEN),
        )
        classifier = OrderedDict(
            pool=nn.AdaptiveAvgPool2d(2), flatten=nn.Flatten(), fc=nn.Linear(4 * MAPS, 10)
        )
        net = ImageClassifier(
            nn.Sequential(features), nn.Sequential(classifier), num_classes=10, in_channels=1
        )
    fit(net, few, Recipe(3, 32, 0.1), device="cpu", progress=False)
    return net
