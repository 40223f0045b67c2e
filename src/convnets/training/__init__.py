"""Train any registered network on real images; `fit` is what the chapters call."""

from convnets.training.data import Dataset, Split, load
from convnets.training.device import choose, default_device, describe
from convnets.training.engine import History, evaluate, fit
from convnets.training.recipes import RECIPES, Recipe

__all__ = [
    "RECIPES",
    "Dataset",
    "History",
    "Recipe",
    "Split",
    "choose",
    "default_device",
    "describe",
    "evaluate",
    "fit",
    "load",
]
