"""Slides 16 to 19: VGG. The table of slide 20 is in `vgg_table.py`."""

from torch import nn

from convnets.analysis import Window, receptive_field_of_chain, trace
from convnets.layers import LocalResponseNorm
from convnets.lecture.measure import (
    count,
    depth,
    kernel,
    padding,
    stride,
    top1_error,
    traced,
    weights,
)
from convnets.lecture.papers import TRAINING, VGG11_TOP1_ERROR, VGG_PLACES, VGG_TEAM
from convnets.lecture.rows import Claim, Value
from convnets.registry import card

CHANNELS = 8
"""C on slide 18; any number gives the same coefficients."""


def stack(kernel_size: int, layers: int) -> nn.Sequential:
    """Convolutions that keep size and number of channels, each followed by a ReLU."""
    chain: list[nn.Module] = []
    for _ in range(layers):
        chain += [nn.Conv2d(CHANNELS, CHANNELS, kernel_size, padding="same", bias=False), nn.ReLU()]
    return nn.Sequential(*chain)


def weights_in_c_squared(kernel_size: int, layers: int) -> int:
    return weights(trace(stack(kernel_size, layers), 7)) // CHANNELS**2


def field(kernel_size: int, layers: int) -> int:
    return receptive_field_of_chain([Window(kernel_size)] * layers).size


def same_training() -> bool:
    """Whether the recipes of AlexNet and VGG agree in everything but the batch size."""
    alexnet, vgg = (
        (each.momentum, each.learning_rate, each.divided_by, each.weight_decay, each.dropout)
        for each in (TRAINING["alexnet"], TRAINING["vgg"])
    )
    return alexnet == vgg


def windows(name: str, kind: type[nn.Module]) -> Value:
    """Kernel, stride and padding of all layers of a kind, one value each if all layers agree."""
    rows = [row for row in traced(name) if row.kind == kind.__name__]
    columns = ((kernel(row), str(stride(row)), str(padding(row))) for row in rows)
    return tuple(" or ".join(sorted(set(column))) for column in zip(*columns, strict=True))


CLAIMS = (
    Claim(
        16,
        "VGG is named after its team",
        "Visual Geometry Group",
        lambda: VGG_TEAM,
        "Simonyan and Zisserman, 2015, title page.",
    ),
    Claim(16, "Year of the ILSVRC in which VGG took part", "2014", lambda: str(card("vgg16").year)),
    Claim(
        17, "Layers of AlexNet and ZFNet", ("8", "8"), lambda: (depth("alexnet"), depth("zfnet"))
    ),
    Claim(17, "Layers of VGG: 16-19", ("16", "19"), lambda: (depth("vgg16"), depth("vgg19"))),
    Claim(
        17,
        "First filters of AlexNet and ZFNet",
        ("11x11", "7x7"),
        lambda: tuple(kernel(traced(name)["conv1"]) for name in ("alexnet", "zfnet")),
    ),
    Claim(
        17,
        "Every convolution of VGG: filter size, stride 1, pad 1",
        ("3x3", "1", "1"),
        lambda: windows("vgg19", nn.Conv2d),
        "True of VGG-19 and, layer by layer, of VGG-16 (slide 20).",
    ),
    Claim(
        17,
        "Every max pool of VGG: window, stride 2, no padding",
        ("2x2", "2", "0"),
        lambda: windows("vgg19", nn.MaxPool2d),
    ),
    Claim(
        18,
        "Receptive field of three 3x3 layers (stride 1), and of one 7x7 layer",
        ("7", "7"),
        lambda: (field(3, 3), field(7, 1)),
    ),
    Claim(
        18,
        "Weights of three 3x3 layers for C channels, 3 x 3² C², in units of C²",
        "27",
        lambda: weights_in_c_squared(3, 3),
    ),
    Claim(
        18,
        "Weights of one 7x7 layer, 7² C², in units of C²",
        "49",
        lambda: weights_in_c_squared(7, 1),
    ),
    Claim(
        18,
        "The stack has more non-linearities and fewer parameters",
        True,
        lambda: (
            count(trace(stack(3, 3), 7), nn.ReLU) > count(trace(stack(7, 1), 7), nn.ReLU)
            and weights_in_c_squared(3, 3) < weights_in_c_squared(7, 1)
        ),
    ),
    Claim(
        19,
        "Places in ILSVRC'14: classification (2nd), localization (1st)",
        ("2", "1"),
        lambda: (VGG_PLACES["classification"], VGG_PLACES["localization"]),
        "Simonyan and Zisserman, 2015, abstract.",
    ),
    Claim(
        19,
        "Training as for AlexNet",
        True,
        same_training,
        f"{TRAINING['vgg'].source}: the same except for the batch size, which is "
        f"{TRAINING['vgg'].batch_size} instead of {TRAINING['alexnet'].batch_size}.",
    ),
    Claim(
        19,
        "VGG has no local response normalization",
        True,
        lambda: count(traced("vgg16"), LocalResponseNorm) == 0,
    ),
    Claim(
        19,
        "Local response normalization does not improve it",
        True,
        lambda: VGG11_TOP1_ERROR["with LRN"] >= VGG11_TOP1_ERROR["without LRN"],
        f"The top-1 error of VGG-11 is {VGG11_TOP1_ERROR['with LRN']}% with it and "
        f"{VGG11_TOP1_ERROR['without LRN']}% without it (table 3 of the paper).",
    ),
    Claim(
        19,
        "VGG19 is slightly better than VGG16",
        True,
        lambda: 0 < top1_error("vgg16") - top1_error("vgg19") < 1,
        lambda: (
            f"The top-1 error is {top1_error('vgg19')}% instead of "
            f"{top1_error('vgg16')}%: {card('vgg19').error_source}."
        ),
    ),
    Claim(
        19,
        "VGG19 takes more memory than VGG16",
        True,
        lambda: (
            traced("vgg19").activation_bytes > traced("vgg16").activation_bytes
            and card("vgg19").parameters > card("vgg16").parameters
        ),
    ),
)
