"""Public weights for our networks: rename the keys of another package's state dict.

Each package has a file here, which lists its networks that have the layers of ours and says how to
rename their keys. A key that no rule matches, a missing tensor or one of another shape is an error.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from convnets import registry
from convnets.models.checkpoints import timm, torchvision
from convnets.models.checkpoints.renaming import PublicNetwork

SOURCES: dict[str, dict[str, PublicNetwork]] = {
    "torchvision": torchvision.NETWORKS,
    "timm": timm.NETWORKS,
}
"""Networks of each package by the name of our network that has the same layers."""


def convert(
    name: str, state_dict: Mapping[str, Tensor], source: str = "torchvision"
) -> dict[str, Tensor]:
    """The state dict of a public network, with the keys of our network `name`.

    Args:
        name: one of `convnets.list_models()`.
        state_dict: the public network's `state_dict()`, for the number of classes on the card.
        source: the package that it comes from, a key of `SOURCES`.

    Raises:
        ValueError: if the package does not have this network, or the tensors are not those of it.
    """
    return rename_keys(name, state_dict, public_network(name, source))


def rename_keys(
    name: str, state_dict: Mapping[str, Tensor], network: PublicNetwork
) -> dict[str, Tensor]:
    """The state dict of `network`, with the keys of our network `name`.

    Raises:
        ValueError: if the tensors are not those of this network.
    """
    with torch.device("meta"):
        net = registry.builder(name)()
    ours = net.state_dict()
    rename = network.renamer(net)
    pairs = ((rename(key), value) for key, value in state_dict.items())
    renamed = {key: value for key, value in pairs if key is not None}
    for key in ours:
        if key.endswith("num_batches_tracked"):  # missing in files from before PyTorch 0.4.1
            renamed.setdefault(key, torch.zeros((), dtype=torch.long))
    for key in ours.keys() & renamed.keys():
        if ours[key].ndim == 2:  # some packages have a convolution as fully connected layer
            renamed[key] = renamed[key].flatten(start_dim=1)
    wrong = sorted(ours.keys() ^ renamed.keys())
    wrong = wrong or [key for key in ours if ours[key].shape != renamed[key].shape]
    if wrong:
        raise ValueError(
            f"these are not weights of {name!r}: {len(wrong)} tensors are missing, unknown or of "
            f"another shape; the first is {wrong[0]}"
        )
    return renamed


def download(name: str, source: str) -> dict[str, Tensor]:
    """Download the weights that torchvision publishes for `name`, trained on ImageNet, and convert.

    Raises:
        ValueError: if `source` is not "torchvision", or torchvision does not have this network.
        urllib.error.URLError: if the weights cannot be downloaded.
    """
    if source != "torchvision":
        raise ValueError(f"weights come from 'torchvision', got {source!r}")
    network = public_network(name, source)
    from torchvision.models import get_model_weights

    weights = get_model_weights(network.name)["IMAGENET1K_V1"]
    return convert(name, weights.get_state_dict(progress=True, check_hash=True), source)


def public_network(name: str, source: str) -> PublicNetwork:
    """The network of the package `source` that has the layers of our network `name`.

    Raises:
        ValueError: if the name or the package is unknown, or the package has no such network.
    """
    registry.card(name)
    if source not in SOURCES:
        raise ValueError(f"unknown source {source!r}; choose one of {', '.join(SOURCES)}")
    if name not in SOURCES[source]:
        raise ValueError(
            f"{source} does not have a network with the layers of {name!r}; "
            f"it has {', '.join(SOURCES[source])}"
        )
    return SOURCES[source][name]
