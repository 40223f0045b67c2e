"""Public weights in our networks: rename the keys of another package's state dict, strictly.

Each package has a file of its own that says which of its networks are ours, and how its keys read
here. A key that no rule knows, a key of ours that stays empty, or a tensor of another shape is an
error, never a guess.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from convnets import registry
from convnets.models.checkpoints import pytorchcv, timm, torchvision
from convnets.models.checkpoints.renaming import Public

SOURCES: dict[str, dict[str, Public]] = {
    "torchvision": torchvision.NETWORKS,
    "timm": timm.NETWORKS,
    "pytorchcv": pytorchcv.NETWORKS,
}


def convert(
    name: str, state_dict: Mapping[str, Tensor], source: str = "torchvision"
) -> dict[str, Tensor]:
    """The state dict of a public network, with the keys of our network `name`.

    Args:
        name: one of `convnets.list_models()`.
        state_dict: what the public network's `state_dict()` holds, for its own classes.
        source: the package that it comes from, one of `SOURCES`.

    Raises:
        ValueError: the package has no such network, or the tensors are not those of this network.
    """
    network = public(name, source)
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
        if ours[key].ndim == 2:  # some write a fully connected layer as a convolution
            renamed[key] = renamed[key].flatten(start_dim=1)
    wrong = sorted(ours.keys() ^ renamed.keys())
    wrong = wrong or [key for key in ours if ours[key].shape != renamed[key].shape]
    if wrong:
        raise ValueError(
            f"these are not {source}'s weights of {name!r}: {len(wrong)} tensors are missing, "
            f"unknown or of another shape, the first is {wrong[0]}"
        )
    return renamed


def download(name: str, source: str) -> dict[str, Tensor]:
    """The ImageNet weights that torchvision publishes for `name`, converted; needs a connection."""
    if source != "torchvision":
        raise ValueError(f"weights come from 'torchvision', got {source!r}")
    network = public(name, source)
    from torchvision.models import get_model_weights

    weights = get_model_weights(network.name)["IMAGENET1K_V1"]
    return convert(name, weights.get_state_dict(progress=True, check_hash=True), source)


def public(name: str, source: str) -> Public:
    """The network of the package `source` that has the layers of our `name`."""
    registry.card(name)
    if source not in SOURCES:
        raise ValueError(f"unknown source {source!r}; choose one of {', '.join(SOURCES)}")
    if name not in SOURCES[source]:
        raise ValueError(
            f"{source} has no network with the layers of {name!r}; "
            f"it has {', '.join(SOURCES[source])}"
        )
    return SOURCES[source][name]
