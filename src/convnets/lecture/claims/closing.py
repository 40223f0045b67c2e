"""Slides 66 to 69: conclusion and reading."""

from convnets.lecture.measure import top1_error
from convnets.lecture.papers import ARXIV, VGG_LOSS_BY_5X5
from convnets.lecture.rows import Claim
from convnets.registry import card, list_models

READING = ("AlexNet", "VGG", "GoogLeNet", "ResNet", "SENet", "DenseNet")


def residual_depth_helps() -> bool:
    errors = [top1_error(f"resnet{depth}") for depth in (18, 34, 50, 101, 152)]
    return errors == sorted(errors, reverse=True)


def families() -> set[str]:
    return {card(name).family for name in list_models()}


CLAIMS = (
    Claim(
        66,
        "The models go from LeNet to DenseNet",
        True,
        lambda: list_models()[0] == "lenet5" and "densenet121" in list_models(),
        "No slide shows LeNet, but chapter 1 begins with it.",
    ),
    Claim(
        66,
        "Deeper networks perform better",
        True,
        residual_depth_helps,
        "This holds from ResNet-18 to ResNet-152, but not for plain networks (slide 38).",
    ),
    Claim(
        66,
        "Small filters perform better than large ones",
        True,
        lambda: VGG_LOSS_BY_5X5 > 0,
        f"By {VGG_LOSS_BY_5X5:g} points of top-1 error in Simonyan and Zisserman, 2015, section "
        "4.1, with an activation after each small filter.",
    ),
    Claim(
        67,
        "Papers to read",
        ", ".join(READING),
        lambda: ", ".join(family for family in READING if family in families()),
        "The course includes the networks of all of them.",
    ),
    Claim(
        67,
        "Address of the VGG paper",
        "https://arxiv.org/pdf/1409.1556.pdf%2520http:/arxiv.org/abs/1409.1556.pdf",
        lambda: f"https://arxiv.org/pdf/{ARXIV['VGG']}.pdf",
        "Two addresses are joined by an escaped space; the first one is right.",
    ),
)
