"""The CNN architectures of one lecture, from LeNet to EfficientNet, and the tools to study them.

>>> import convnets
>>> convnets.list_models()[:3]
['lenet5', 'alexnet', 'alexnet_one_tower']
>>> net = convnets.create_model("resnet18", num_classes=10)
>>> convnets.analysis.trace(net, 224).parameters
11181642
"""

import importlib
from importlib.metadata import version
from types import ModuleType
from typing import TYPE_CHECKING

from convnets.models import create_model
from convnets.registry import Card, card, list_models

if TYPE_CHECKING:  # otherwise each is imported when it is first used, which keeps this import fast
    from convnets import analysis as analysis
    from convnets import experiments as experiments
    from convnets import layers as layers
    from convnets import lecture as lecture
    from convnets import models as models
    from convnets import plots as plots
    from convnets import search as search
    from convnets import training as training
    from convnets import widgets as widgets

__all__ = ["Card", "card", "create_model", "list_models"]
__version__ = version("convnets")

_SUBMODULES = (
    *("analysis", "experiments", "layers", "lecture", "models"),
    *("plots", "search", "training", "widgets"),
)


def __getattr__(name: str) -> ModuleType:
    if name not in _SUBMODULES:
        raise AttributeError(f"module 'convnets' has no attribute {name!r}")
    try:
        return importlib.import_module(f"convnets.{name}")
    except ImportError as error:  # an extra is not installed; help(convnets) skips the module
        raise AttributeError(f"convnets.{name} cannot be imported: {error}") from error


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBMODULES, "__version__"])
