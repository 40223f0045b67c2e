"""How a public network's keys become ours."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from convnets.layers import ImageClassifier

Rename = Callable[[str], str | None]
"""Their key -> our key, or `None` for a tensor that our network does not have."""


@dataclass(frozen=True)
class Public:
    """A network of another package: its name there, and how its keys read in ours."""

    name: str
    renamer: Callable[[ImageClassifier], Rename]


def by_rules(*rules: tuple[str, str | None]) -> Callable[[ImageClassifier], Rename]:
    """Replace the start of a key by the first pattern that matches; `None` drops the tensor.

    A key that no pattern matches stays as it is, and is then found to be unknown.
    """

    def rename(key: str) -> str | None:
        for pattern, replacement in rules:
            if re.match(pattern, key):
                return None if replacement is None else re.sub(pattern, replacement, key, count=1)
        return key

    return lambda net: rename


def by_number(classifier: dict[str, str]) -> Callable[[ImageClassifier], Rename]:
    """For networks that number the layers of `features`, in our order, where we name them.

    Args:
        classifier: number -> our name of each layer of `classifier` that has weights.
    """

    def renamer(net: ImageClassifier) -> Rename:
        names = {
            "features": {str(i): name for i, (name, _) in enumerate(net.features.named_children())},
            "classifier": classifier,
        }

        def rename(key: str) -> str:
            part, number, rest = key.split(".", 2) if key.count(".") >= 2 else ("", "", "")
            known = number in names.get(part, {})
            return f"{part}.{names[part][number]}.{rest}" if known else key

        return rename

    return renamer


def bn_is_norm(renamer: Callable[[ImageClassifier], Rename]) -> Callable[[ImageClassifier], Rename]:
    """For packages that call every batch norm `bn`: first write `norm`, then rename."""

    def with_norm(net: ImageClassifier) -> Rename:
        rename = renamer(net)
        return lambda key: rename(key.replace(".bn.", ".norm."))

    return with_norm
