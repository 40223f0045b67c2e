"""Networks of torchvision and timm: all for classification, and one of each family."""

import re

import timm
import torch
import torchvision
from accelerate import init_empty_weights
from timm.models import _registry
from torch import nn

TORCHVISION = torchvision.models.list_models(torchvision.models)
MANY_FAMILIES = ("byobnet", "efficientnet", "resnet")
"""Files of timm with networks of many papers: the first word of a name tells them apart."""
LIGHT = r"224|atto|femto|pico|nano|tiny|mini|small|xxs\d*|xs\d*|s\d*|t\d*"


def _lightest_of_each_family() -> list[str]:
    """By their names: the small sizes first, then the shortest name."""

    def order(name: str) -> tuple[bool, int, str]:
        light = any(re.fullmatch(LIGHT, word) for word in name.split("_"))
        return not light, len(name), name

    lightest: dict[tuple[str, str], str] = {}
    for name in sorted(timm.list_models(), key=order):
        file = _registry._model_to_module[name]
        word = re.match(r"[a-z]+", name)[0] if file in MANY_FAMILIES else ""
        lightest.setdefault((file, word), name)
    return sorted(lightest.values())


TIMM = _lightest_of_each_family()
PUBLIC = [f"torchvision/{name}" for name in TORCHVISION] + [f"timm/{name}" for name in TIMM]


def on_meta(public: str) -> nn.Module:
    """The network without numbers."""
    try:
        with torch.device("meta"):
            return _made(public)
    except (NotImplementedError, RuntimeError):  # it computes with numbers when it is made
        return _made(public).to("meta")


def with_constants(public: str) -> nn.Module:
    """The network with numbers in its buffers only."""
    with init_empty_weights(include_buffers=False):
        return _made(public)


def side(public: str) -> int:
    """Side of its images: the crop of ImageNet, unless it takes no other than its own."""
    library, name = public.split("/")
    if library == "timm":
        config = timm.get_pretrained_cfg(name)
        smallest = max(config.min_input_size or (0,))
        if config.fixed_input_size or smallest > 224:
            return config.input_size[-1]
    return 299 if name == "inception_v3" else 224  # its auxiliary classifier needs as much


def _made(public: str) -> nn.Module:
    library, name = public.split("/")
    return timm.create_model(name) if library == "timm" else torchvision.models.get_model(name)
