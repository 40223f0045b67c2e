"""Slides 56 to 59: DenseNet."""

from convnets.lecture.measure import depth, network, top1_error
from convnets.lecture.rows import Claim, Value
from convnets.models.densenet import CONFIGS, DenseBlock, DenseLayer
from convnets.models.resnet import ResidualBlock
from convnets.registry import card, list_models


def blocks(name: str) -> list[DenseBlock]:
    return [module for module in network(name).modules() if isinstance(module, DenseBlock)]


def maps_read(block: DenseBlock) -> list[int]:
    """Number of earlier outputs that each layer of a block reads, counting the block's input."""
    layers = [layer for layer in block.children() if isinstance(layer, DenseLayer)]
    widths = [layer.norm1.num_features for layer in layers]
    growth = widths[1] - widths[0]
    return [1 + (width - widths[0]) // growth for width in widths]


def connections(name: str) -> Value:
    return tuple(sum(maps_read(block)) for block in blocks(name))


def shortcuts(name: str) -> int:
    return sum(isinstance(module, ResidualBlock) for module in network(name).modules())


def on_imagenet() -> list[str]:
    """Names of the DenseNets for ImageNet."""
    return [
        name
        for name in list_models()
        if card(name).family == "DenseNet" and not card(name).is_small_image
    ]


def best() -> float:
    """Lowest top-1 error of a DenseNet on ImageNet, percent."""
    return min(map(top1_error, on_imagenet()))


CLAIMS = (
    Claim(
        56,
        "Wide residual networks have many parameters",
        True,
        lambda: card("wide_resnet50_2").parameters > card("resnet152").parameters,
        lambda: (
            f"WRN-50-2 has {card('wide_resnet50_2').parameters / 1e6:.0f}M, ResNet-152 "
            f"{card('resnet152').parameters / 1e6:.0f}M, and DenseNet-201 "
            f"{card('densenet201').parameters / 1e6:.0f}M."
        ),
    ),
    Claim(
        57,
        "Each layer is connected to every later layer",
        True,
        lambda: all(
            maps_read(block) == list(range(1, len(maps_read(block)) + 1))
            for block in blocks("densenet121")
        ),
        "Within a dense block, each layer reads the block's input and the outputs of all layers "
        "before it.",
    ),
    Claim(
        57,
        "ResNet: L layers have L shortcut connections, for ResNet-34",
        "34",
        lambda: shortcuts("resnet34"),
        "A shortcut of ResNet-34 spans two layers, so there are about half as many. In the paper, "
        "it is a plain chain of L layers that has L connections.",
    ),
    Claim(
        57,
        "DenseNet: L layers have L(L + 1)/2 connections, for the blocks of DenseNet-121",
        tuple(str(layers * (layers + 1) // 2) for layers in CONFIGS["densenet121"].depths),
        lambda: connections("densenet121"),
        "L is the number of layers in a block, not in the network.",
    ),
    Claim(
        58,
        "DenseNet requires fewer parameters",
        True,
        lambda: (
            card("densenet201").parameters < card("resnet101").parameters
            and top1_error("densenet201") < top1_error("resnet101")
        ),
        lambda: (
            f"DenseNet-201 has {card('densenet201').parameters / 1e6:.0f}M and a top-1 error of "
            f"{top1_error('densenet201')}%, ResNet-101 "
            f"{card('resnet101').parameters / 1e6:.0f}M and {top1_error('resnet101')}% (one crop)."
        ),
    ),
    Claim(
        58,
        "Number of layers of the shallow network in the comparison",
        "50",
        lambda: depth(min(on_imagenet(), key=lambda name: sum(CONFIGS[name].depths))),
        "The paper has no DenseNet with 50 layers. The sentence fits the wide ResNet of slide 54.",
    ),
    Claim(
        58,
        "It can outperform the deeper 152-layer ResNet",
        True,
        lambda: best() < top1_error("resnet152"),
        lambda: (
            f"Not on ImageNet, where the best DenseNet has a top-1 error of {best()}% and "
            f"ResNet-152 {top1_error('resnet152')}% with one crop. On CIFAR-10 it does: "
            f"DenseNet-40 has {top1_error('densenet40_12')}%, ResNet-110 "
            f"{top1_error('resnet110')}%."
        ),
    ),
    Claim(
        59,
        "The last layer of a block reads the very first maps",
        True,
        lambda: all(
            max(maps_read(block)) == len(maps_read(block)) for block in blocks("densenet121")
        ),
        "It can read them. The chapter on DenseNet measures how much trained layers use them.",
    ),
)
