"""The registered architectures: the card of each, from `cards.toml`, and its builder function.

Tests, chapters, the command line and the lecture's ledger read the same cards, so each figure is
written in one place only.
"""

import difflib
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from importlib import resources
from typing import ParamSpec, TypeVar

from convnets.layers import ImageClassifier

SMALL_IMAGE = 32
"""Largest side of a small image, such as those of CIFAR-10, in pixels."""

Arguments = ParamSpec("Arguments")
Network = TypeVar("Network", bound=ImageClassifier)
_BUILDERS: dict[str, Callable[..., ImageClassifier]] = {}


@dataclass(frozen=True)
class Card:
    """The published facts about an architecture.

    >>> card("alexnet").input_size
    227
    """

    name: str
    """Name in the registry."""
    title: str
    """Name in text."""
    family: str
    year: int
    """Year of the first publication."""
    paper: str
    """Key in `references.bib`."""
    input_size: int
    """Side of the square images that the paper uses, in pixels."""
    smallest_input: int
    """Side of the smallest square image that the network accepts, in pixels."""
    parameters: int
    """Trainable parameters of the published network."""
    macs: int
    """Multiply-accumulate operations of the published network for one image of `input_size`."""
    num_classes: int = 1000
    in_channels: int = 3
    """Channels of the images."""
    top1_error: float | None = None
    """In percent; `None` where the source has none."""
    top5_error: float | None = None
    """In percent; `None` where the source has none."""
    error_source: str | None = None
    """Images and test protocol, and the publication: paper and table, or package and weights."""

    @property
    def is_small_image(self) -> bool:
        """Whether it is made for images of at most `SMALL_IMAGE` pixels."""
        return self.input_size <= SMALL_IMAGE


def register(builder: Callable[Arguments, Network]) -> Callable[Arguments, Network]:
    """Register a function as the builder of the architecture that has the function's name.

    Args:
        builder: makes the network; the defaults of its arguments are those of the card.

    Returns:
        The builder; the networks that it makes now have the `name` and `input_size` of their card.

    Raises:
        ValueError: if the name is already registered, or has no card.
    """
    name = builder.__name__
    if name in _BUILDERS:
        raise ValueError(f"{name!r} is registered twice")
    if name not in _cards():
        raise ValueError(f"{name!r} has no card; add one to cards.toml")

    @wraps(builder)
    def build(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Network:
        net = builder(*args, **kwargs)
        net.name, net.input_size = name, _cards()[name].input_size
        return net

    _BUILDERS[name] = build
    return build


def list_models() -> list[str]:
    """Names of all architectures, in the order of the lecture.

    Example:
        >>> [name for name in list_models() if card(name).family == "GoogLeNet"]
        ['googlenet', 'googlenet_bn']
    """
    return list(_cards())


def card(name: str) -> Card:
    """The card of the architecture `name`.

    Raises:
        ValueError: if the name is unknown; the message suggests similar names.

    Example:
        >>> resnet = card("resnet50")
        >>> resnet.year, resnet.input_size, resnet.parameters
        (2015, 224, 25557032)
    """
    try:
        return _cards()[name]
    except KeyError:
        near = difflib.get_close_matches(name, list_models(), n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else "see convnets.list_models()"
        raise ValueError(f"unknown network {name!r}; {hint}") from None


def builder(name: str) -> Callable[..., ImageClassifier]:
    """The function that builds the architecture `name` from `num_classes` and `in_channels`.

    Raises:
        ValueError: if the name is unknown.
    """
    return _BUILDERS[card(name).name]


@cache
def _cards() -> dict[str, Card]:
    text = resources.files("convnets").joinpath("cards.toml").read_text(encoding="utf-8")
    return {name: Card(name=name, **row) for name, row in tomllib.loads(text).items()}
