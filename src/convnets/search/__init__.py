"""Neural architecture search: a network that learns to design networks, and random search."""

from convnets.search.controller import Controller, Sample
from convnets.search.space import Architecture, LayerChoice, SearchSpace
from convnets.search.strategies import (
    Trial,
    random_search,
    reinforce,
    train_and_validate,
)

__all__ = [
    "Architecture",
    "Controller",
    "LayerChoice",
    "Sample",
    "SearchSpace",
    "Trial",
    "random_search",
    "reinforce",
    "train_and_validate",
]
