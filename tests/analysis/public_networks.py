"""Networks of torchvision and timm, one of each family of timm."""

import timm
import torch
import torchvision
from timm.models import _registry
from torch import nn

TORCHVISION = torchvision.models.list_models(torchvision.models)


def _shortest_of_each_family() -> list[str]:
    shortest: dict[str, str] = {}
    for name in sorted(timm.list_models(), key=lambda name: (len(name), name)):
        shortest.setdefault(_registry._model_to_module[name], name)
    return list(shortest.values())


TIMM = _shortest_of_each_family()


def public(library: str, name: str) -> tuple[nn.Module, int]:
    """The network, without numbers where that is possible, and the side of its images."""
    make = timm.create_model if library == "timm" else torchvision.models.get_model
    try:
        with torch.device("meta"):
            net = make(name)
    except (NotImplementedError, RuntimeError):  # it computes with its weights when it is made
        net = make(name)
    return net, net.default_cfg["input_size"][-1] if library == "timm" else 224
