"""Slides 13 and 14: ZFNet."""

from convnets.lecture.measure import kernel, stride, top1_error, traced
from convnets.lecture.rows import Claim, Value, text
from convnets.registry import card


def conv1(name: str) -> Value:
    row = traced(name)["conv1"]
    return kernel(row), stride(row)


def widths_of_three_to_five(name: str) -> Value:
    return tuple(traced(name)[f"conv{number}"].output[0] for number in (3, 4, 5))


CLAIMS = (
    Claim(
        13,
        "ZFNet improves on AlexNet by changing hyperparameters",
        True,
        lambda: top1_error("zfnet") < top1_error("alexnet"),
        lambda: (
            f"The top-1 error is {top1_error('zfnet')}% instead of "
            f"{top1_error('alexnet')}%: {card('zfnet').error_source}."
        ),
    ),
    Claim(
        14,
        "CONV1 in AlexNet (11x11 stride 4)",
        ("11x11", "4"),
        lambda: conv1("alexnet"),
    ),
    Claim(14, "CONV1 in ZFNet (7x7 stride 2)", ("7x7", "2"), lambda: conv1("zfnet")),
    Claim(
        14,
        "Filters of CONV3, 4, 5 in AlexNet",
        ("384", "384", "256"),
        lambda: widths_of_three_to_five("alexnet"),
    ),
    Claim(
        14,
        "Filters of CONV3, 4, 5 in ZFNet",
        ("512", "1024", "512"),
        lambda: widths_of_three_to_five("zfnet"),
        lambda: (
            "These are the widths of network (b) in Zeiler and Fergus, 2014, table 2; "
            f"figure 3 has {text(widths_of_three_to_five('zfnet_paper'))}."
        ),
    ),
)
