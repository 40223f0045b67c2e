"""Which architectures exist: one card for each, read from `cards.toml`, and the function that
builds it.

The cards are the course's golden rows. Tests, chapters, the command line and the lecture's ledger
read the same file, so a figure stands in one place only.
"""

import difflib
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from importlib import resources
from typing import ParamSpec, TypeVar

from convnets.layers import ImageClassifier

Arguments = ParamSpec("Arguments")
Network = TypeVar("Network", bound=ImageClassifier)
_BUILDERS: dict[str, Callable[..., ImageClassifier]] = {}


@dataclass(frozen=True)
class Card:
    """What is known of one architecture before it is built.

    Parameters and MACs are for the network as published: `num_classes`, `in_channels` and
    `input_size` of this card. A published error is in percent, `None` where its source has none.
    """

    name: str
    title: str
    family: str
    year: int
    paper: str
    """Key in `references.bib`."""
    input_size: int
    """Side of the square input in pixels that the paper uses."""
    smallest_input: int
    """Side of the smallest square input that the network accepts, in pixels."""
    parameters: int
    macs: int
    num_classes: int = 1000
    in_channels: int = 3
    top1_error: float | None = None
    top5_error: float | None = None
    error_source: str | None = None
    """Images and test protocol; then who published it: paper and table, or package and weights."""

    @property
    def is_small_image(self) -> bool:
        """Made for images of about 32 pixels, such as CIFAR-10 or Fashion-MNIST."""
        return self.input_size <= 32


def register(builder: Callable[Arguments, Network]) -> Callable[Arguments, Network]:
    """Register the decorated function as the builder of the architecture that has its name.

    Networks that it builds get the `input_size` of their card.

    Raises:
        ValueError: the name is registered already, or has no card.
    """
    name = builder.__name__
    if name in _BUILDERS:
        raise ValueError(f"{name!r} is registered twice")
    if name not in _cards():
        raise ValueError(f"{name!r} has no card; add one to cards.toml")

    @wraps(builder)
    def build(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Network:
        net = builder(*args, **kwargs)
        net.input_size = _cards()[name].input_size
        return net

    _BUILDERS[name] = build
    return build


def list_models() -> list[str]:
    """Names of all architectures, in the lecture's order."""
    return list(_cards())


def card(name: str) -> Card:
    """The card of `name`.

    Raises:
        ValueError: unknown name; the message suggests the nearest ones.
    """
    try:
        return _cards()[name]
    except KeyError:
        near = difflib.get_close_matches(name, list_models(), n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else "convnets.list_models() has all"
        raise ValueError(f"unknown network {name!r}; {hint}") from None


def builder(name: str) -> Callable[..., ImageClassifier]:
    """The function that builds `name`, called with `num_classes` and `in_channels`.

    Raises:
        ValueError: unknown name.
    """
    return _BUILDERS[card(name).name]


@cache
def _cards() -> dict[str, Card]:
    text = resources.files("convnets").joinpath("cards.toml").read_text(encoding="utf-8")
    return {name: Card(name=name, **row) for name, row in tomllib.loads(text).items()}
