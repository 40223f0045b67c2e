"""Slide 20: each line of the table of VGG-16, and its totals.

The memory on the slide is that of the image and of the output of each convolution, pool and fully
connected layer; the parameters are the weights without biases.
"""

from functools import partial
from math import prod

from convnets.analysis import LayerRow
from convnets.lecture.measure import short_name, size, traced
from convnets.lecture.rows import Claim, Value

BYTES = 4
"""Size of one value, a 32-bit number."""
# Name on the slide, our layer, output size, memory, weights as a product, weights.
LINES = (
    ("CONV1-1", "conv1_1", "224x224x64", "3.2M", "(3*3*3)*64", "1,728"),
    ("CONV1-2", "conv1_2", "224x224x64", "3.2M", "(3*3*64)*64", "36,864"),
    ("POOL1", "pool1", "112x112x64", "800K", "", "0"),
    ("CONV2-1", "conv2_1", "112x112x128", "1.6M", "(3*3*64)*128", "73,728"),
    ("CONV2-2", "conv2_2", "112x112x128", "1.6M", "(3*3*128)*128", "147,456"),
    ("POOL2", "pool2", "56x56x128", "400K", "", "0"),
    ("CONV3-1", "conv3_1", "56x56x256", "800K", "(3*3*128)*256", "294,912"),
    ("CONV3-2", "conv3_2", "56x56x256", "800K", "(3*3*256)*256", "589,824"),
    ("POOL2", "pool3", "28x28x256", "200K", "", "0"),
    ("CONV4-1", "conv4_1", "28x28x512", "400K", "(3*3*256)*512", "1,179,648"),
    ("CONV4-2", "conv4_2", "28x28x512", "400K", "(3*3*512)*512", "2,359,296"),
    ("CONV4-3", "conv4_3", "28x28x512", "400K", "(3*3*512)*512", "2,359,296"),
    ("POOL3", "pool4", "14x14x512", "100K", "", "0"),
    ("CONV5-1", "conv5_1", "14x14x512", "100K", "(3*3*512)*512", "2,359,296"),
    ("CONV5-2", "conv5_2", "14x14x512", "100K", "(3*3*512)*512", "2,359,296"),
    ("CONV5-3", "conv5_3", "14x14x512", "100K", "(3*3*512)*512", "2,359,296"),
    ("POOL4", "pool5", "7x7x512", "25K", "", "0"),
    ("FC6", "fc6", "1x1x4096", "4096", "7*7*512*4096", "102,760,448"),
    ("FC7", "fc7", "1x1x4096", "4096", "4096*4096", "16,777,216"),
    ("FC8", "fc8", "1x1x1000", "1000", "4096*1000", "4,096,000"),
)


def rows() -> list[LayerRow]:
    """The layers that the table lists, in their order."""
    return [row for row in traced("vgg16") if row.kind in ("Conv2d", "MaxPool2d", "Linear")]


def values(row: LayerRow) -> int:
    return row.activation_bytes // BYTES


def multiplied(row: LayerRow) -> str:
    """The weights as a product: (3*3*64)*128 for a convolution, 7*7*512*4096 for FC6."""
    if not row.weights:
        return ""
    before = rows()[rows().index(row) - 1].output if row.name != rows()[0].name else (3,)
    if row.kernel is not None:
        return f"({row.kernel[0]}*{row.kernel[1]}*{before[0]})*{row.output[0]}"
    return "*".join(map(str, (*before[1:], before[0], *row.output)))


def line(name: str) -> Value:
    row = traced("vgg16")[name]
    full_size = size(row) if len(row.output) == 3 else f"1x1x{row.output[0]}"
    parts = (full_size, values(row), multiplied(row), row.weights)
    return tuple(part for part in parts if part != "")


def names(kind: str) -> str:
    return ", ".join(short_name(row) for row in rows() if row.kind == kind)


def listed(start: str) -> str:
    return ", ".join(name for name, *_ in LINES if name.startswith(start))


def total_values() -> int:
    return prod(traced("vgg16").input_shape) + sum(map(values, rows()))


def share(chosen: str, figure: str) -> float:
    """Share of all values or parameters that is in the layers whose name starts with `chosen`."""
    measure = values if figure == "values" else lambda row: row.parameters
    part = sum(measure(row) for row in rows() if short_name(row).startswith(chosen))
    return part / sum(map(measure, rows()))


CLAIMS = (
    Claim(
        20,
        "INPUT: size, memory 224*224*3, parameters",
        ("224x224x3", "150K", "0"),
        lambda: (
            "x".join(map(str, (*traced("vgg16").input_shape[1:], traced("vgg16").input_shape[0]))),
            prod(traced("vgg16").input_shape),
            0,
        ),
    ),
    *(
        Claim(
            20,
            f"{name}: size, memory, {'' if '' in columns else 'weights as a product, '}weights",
            tuple(column for column in columns if column),
            partial(line, layer),
            f"The right name of this pool is POOL{layer[-1]}; the figures are right."
            if layer.startswith("pool") and layer.upper() != name
            else "",
        )
        for name, layer, *columns in LINES
    ),
    Claim(
        20,
        "The convolutions",
        listed("CONV"),
        lambda: names("Conv2d"),
        "The slide has no line for CONV3-3, the third convolution of that stage. Its figures are "
        "those of CONV3-2, and the total number of parameters includes it.",
    ),
    Claim(
        20,
        "The pools",
        listed("POOL"),
        lambda: names("MaxPool2d"),
        "The name POOL2 appears twice, so the numbers of the later pools are too low by one.",
    ),
    Claim(
        20,
        "Total memory: values for one image",
        "24M",
        total_values,
        "The lines of the slide add up to our value if CONV3-3 is added. The total was probably "
        "copied with the table from the source that the slide names.",
    ),
    Claim(
        20,
        "Total memory: bytes for one image, 24M * 4 bytes",
        "96MB",
        lambda: BYTES * total_values(),
        "This follows from the total above.",
    ),
    Claim(
        20,
        "Total parameters",
        "138M",
        lambda: traced("vgg16").parameters,
        "Including the biases, which the lines leave out.",
    ),
    Claim(
        20,
        "Most memory is in the early convolutions",
        True,
        lambda: share("CONV1", "values") + share("CONV2", "values") > 0.5,
        lambda: (
            f"{share('CONV1', 'values') + share('CONV2', 'values'):.0%} of the values are in "
            "CONV1 and CONV2."
        ),
    ),
    Claim(
        20,
        "Most parameters are in the late fully connected layers",
        True,
        lambda: share("FC", "parameters") > 0.5,
        lambda: (
            f"{share('FC', 'parameters'):.0%} of them are, {share('FC6', 'parameters'):.0%} in FC6."
        ),
    ),
)
