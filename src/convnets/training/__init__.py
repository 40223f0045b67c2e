"""Train any registered network on real images; `fit` is what the chapters call."""

from convnets.training.data import Dataset, Split, load, load_folder
from convnets.training.device import choose, default_device, describe
from convnets.training.engine import fit
from convnets.training.evaluation import evaluate
from convnets.training.recipes import RECIPES, Recipe
from convnets.training.record import Epoch, RunRecord

__all__ = [
    "RECIPES",
    "Dataset",
    "Epoch",
    "Recipe",
    "RunRecord",
    "Split",
    "choose",
    "default_device",
    "describe",
    "evaluate",
    "fit",
    "load",
    "load_folder",
]
