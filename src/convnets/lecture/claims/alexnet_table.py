"""Slide 8: the architecture of AlexNet and how it was trained."""

from functools import partial

from torch import nn

from convnets.lecture.claims.alexnet import fitting_input, layer, pool
from convnets.lecture.measure import filters, network, padding, size, stride
from convnets.lecture.papers import FIRST_RELU, TRAINING
from convnets.lecture.rows import Claim, Value
from convnets.registry import card

PAPER = TRAINING["alexnet"]
# Output size, number of filters, filter size, stride, padding.
CONVOLUTIONS = {
    "CONV1": ("55x55x96", "96", "11x11x3", "4", "0"),
    "CONV2": ("27x27x256", "256", "5x5x48", "1", "2"),
    "CONV3": ("13x13x384", "384", "3x3x256", "1", "1"),
    "CONV4": ("13x13x384", "384", "3x3x192", "1", "1"),
    "CONV5": ("13x13x256", "256", "3x3x192", "1", "1"),
}
# Output size, window, stride.
POOLS = {
    "POOL1": ("27x27x96", "3x3", "2"),
    "POOL2": ("13x13x256", "3x3", "2"),
    "POOL3": ("6x6x256", "3x3", "2"),
}
NEURONS = {"FC6": "4096", "FC7": "4096", "FC8": "1000"}


def convolution(name: str) -> Value:
    row = layer(name)
    return size(row), row.output[0], filters(row), stride(row), padding(row)


def neurons_of(name: str) -> int:
    return layer(name).output[0]


def dropout() -> float:
    layer6 = network("alexnet").classifier.get_submodule("drop6")
    assert isinstance(layer6, nn.Dropout)
    return layer6.p


def crops_and_mirrors() -> int:
    """Number of crops of 224 pixels from an image of 256, mirrored or not, as in section 4.1."""
    return (256 - 224) ** 2 * 2


CLAIMS = (
    Claim(8, "INPUT", "227x227x3", fitting_input),
    *(
        Claim(
            8,
            f"{name}: output size, number of filters, filter size, stride, padding",
            line,
            partial(convolution, name.lower()),
        )
        for name, line in CONVOLUTIONS.items()
    ),
    *(
        Claim(8, f"{name}: output size, window, stride", line, partial(pool, name.lower()))
        for name, line in POOLS.items()
    ),
    *(
        Claim(8, f"{name}: number of neurons", neurons, partial(neurons_of, name.lower()))
        for name, neurons in NEURONS.items()
    ),
    Claim(
        8,
        "First use of ReLU",
        True,
        lambda: card("alexnet").year <= FIRST_RELU,
        f"The paper itself cites Nair and Hinton, {FIRST_RELU}, for the rectifier. AlexNet made it "
        "the usual choice.",
    ),
    Claim(
        8,
        "Heavy data augmentation",
        True,
        lambda: crops_and_mirrors() > 1,
        lambda: f"Section 4.1: crops and mirroring give {crops_and_mirrors():,} views of an image.",
    ),
    Claim(8, "Dropout rate", "0.5", dropout, PAPER.source),
    Claim(8, "Batch size", "128", lambda: PAPER.batch_size, PAPER.source),
    Claim(8, "Momentum", "0.9", lambda: PAPER.momentum, PAPER.source),
    Claim(8, "Learning rate", "1e-2", lambda: PAPER.learning_rate, PAPER.source),
    Claim(
        8,
        "The learning rate is divided by 10 when the validation error stops improving",
        "10",
        lambda: PAPER.divided_by,
        PAPER.source,
    ),
    Claim(8, "L2 weight decay", "5e-4", lambda: PAPER.weight_decay, PAPER.source),
)
