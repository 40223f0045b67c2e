"""Rules that rename the keys of a public network's state dict to ours."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from convnets.layers import ImageClassifier

Rename = Callable[[str], str | None]
"""Public key -> our key, or `None` for a tensor that our network does not have."""
Renamer = Callable[[ImageClassifier], Rename]
"""Makes the function that renames keys from our network, whose layers it may need to know."""


@dataclass(frozen=True)
class PublicNetwork:
    """A network of another package that has the layers of one of ours."""

    name: str
    """Its name in that package."""
    renamer: Renamer


def by_rules(*rules: tuple[str, str | None]) -> Renamer:
    """Renames by the first rule whose pattern matches the start of a key.

    A key that no pattern matches is returned unchanged; the converter then reports it as unknown.

    Args:
        rules: pairs of a regular expression and its replacement, or `None` to drop the tensor.
    """

    def rename(key: str) -> str | None:
        for pattern, replacement in rules:
            if re.match(pattern, key):
                return None if replacement is None else re.sub(pattern, replacement, key, count=1)
        return key

    return lambda net: rename


def by_number(classifier: dict[str, str]) -> Renamer:
    """Renames for networks whose layers have numbers where ours have names.

    Args:
        classifier: our name for the number of each layer of `classifier` that has weights. The
            layers of `features` are taken to be in the same order.
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


def bn_is_norm(renamer: Renamer) -> Renamer:
    """Renames for packages whose batch norms are called `bn`: replaces `bn` by `norm` first."""

    def with_norm(net: ImageClassifier) -> Rename:
        rename = renamer(net)
        return lambda key: rename(key.replace(".bn.", ".norm."))

    return with_norm
