"""Public weights in our networks: rename the keys of another package's state dict, strictly.

Every rule says where a tensor goes. A key that no rule knows, a key of ours that stays empty, or a
tensor of another shape is an error, never a guess.
"""

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from convnets import registry
from convnets.layers import ImageClassifier

Rename = Callable[[str], str]

# torchvision's name of each network that it has too.
TORCHVISION = {"alexnet_one_tower": "alexnet"}
TORCHVISION |= {
    f"vgg{depth}{norm}": f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")
}
TORCHVISION |= {f"resnet{depth}": f"resnet{depth}" for depth in (18, 34, 50, 101, 152)}

RESNET_RULES = (
    (r"conv1\.", r"features.stem.conv."),
    (r"bn1\.", r"features.stem.norm."),
    (r"layer(\d+)\.(\d+)\.conv(\d)\.", r"features.stage\1.\2.conv\3."),
    (r"layer(\d+)\.(\d+)\.bn(\d)\.", r"features.stage\1.\2.norm\3."),
    (r"layer(\d+)\.(\d+)\.downsample\.0\.", r"features.stage\1.\2.shortcut.conv."),
    (r"layer(\d+)\.(\d+)\.downsample\.1\.", r"features.stage\1.\2.shortcut.norm."),
    (r"fc\.", r"classifier.fc."),
)
# torchvision numbers the layers of AlexNet and VGG, in our order; of the classifier these have
# weights.
NUMBERED_CLASSIFIER = {
    "AlexNet": {"1": "fc6", "4": "fc7", "6": "fc8"},
    "VGG": {"0": "fc6", "3": "fc7", "6": "fc8"},
}


def convert(
    name: str, state_dict: Mapping[str, Tensor], source: str = "torchvision"
) -> dict[str, Tensor]:
    """The state dict of a public network, with the keys of our network `name`.

    Args:
        name: one of `convnets.names()`.
        state_dict: what the public network's `state_dict()` holds, for 1000 classes and 3 channels.
        source: the package that it comes from: "torchvision".

    Raises:
        ValueError: the package has no such network, or the tensors are not those of this network.
    """
    _public_name(name, source)
    with torch.device("meta"):
        net: ImageClassifier = registry.builder(name)(num_classes=1000, in_channels=3)
    rename = _by_rules(RESNET_RULES) if name.startswith("resnet") else _by_number(name, net)
    ours = net.state_dict()
    renamed = {rename(key): value for key, value in state_dict.items()}
    # Files from before PyTorch 0.4.1 have no batch counters.
    renamed = {
        key: torch.zeros((), dtype=torch.long) for key in ours if key.endswith("batches_tracked")
    } | renamed
    wrong = sorted(ours.keys() ^ renamed.keys())
    wrong = wrong or [key for key in ours if ours[key].shape != renamed[key].shape]
    if wrong:
        raise ValueError(
            f"these are not {source}'s weights of {name!r}: {len(wrong)} tensors are missing, "
            f"unknown or of another shape, the first is {wrong[0]}"
        )
    return renamed


def download(name: str, source: str) -> dict[str, Tensor]:
    """The ImageNet weights that `source` publishes for `name`, converted; needs a connection."""
    public = _public_name(name, source)
    import torchvision.models

    weights = torchvision.models.get_model_weights(public)["IMAGENET1K_V1"]
    return convert(name, weights.get_state_dict(progress=True, check_hash=True), source)


def _public_name(name: str, source: str) -> str:
    if source != "torchvision":
        raise ValueError(f"weights come from 'torchvision', got {source!r}")
    if registry.card(name).name not in TORCHVISION:
        raise ValueError(
            f"torchvision has no network with the layers of {name!r}; "
            f"it has {', '.join(TORCHVISION)}"
        )
    return TORCHVISION[name]


def _by_rules(rules: tuple[tuple[str, str], ...]) -> Rename:
    def rename(key: str) -> str:
        for pattern, replacement in rules:
            if re.match(pattern, key):
                return re.sub(pattern, replacement, key, count=1)
        return key

    return rename


def _by_number(name: str, net: ImageClassifier) -> Rename:
    names = {
        "features": {str(i): child for i, (child, _) in enumerate(net.features.named_children())},
        "classifier": NUMBERED_CLASSIFIER[registry.card(name).family],
    }

    def rename(key: str) -> str:
        part, number, rest = key.split(".", 2) if key.count(".") >= 2 else ("", "", "")
        return f"{part}.{names[part][number]}.{rest}" if number in names.get(part, {}) else key

    return rename
