"""The record of a training run: its settings, losses, accuracies and the trained network."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from convnets.layers import ImageClassifier
from convnets.training.recipes import Recipe


@dataclass(frozen=True)
class Epoch:
    """Measurements of one pass over the training images."""

    number: int
    """Counted from 1."""
    train_loss: float
    """Mean over the epoch's steps, in nats."""
    train_accuracy: float
    """Mean over the epoch's steps, between 0 and 1."""
    validation_loss: float
    """Mean over the held-out images, in nats, with the label smoothing of the training loss."""
    validation_accuracy: float
    """Share of the held-out images, between 0 and 1."""
    seconds: float
    """Of training and validation; a pause of the run is left out."""


@dataclass
class RunRecord:
    """One training run: what `fit` returns."""

    net: nn.Module
    """The network, trained in place."""
    recipe: Recipe
    data: str
    """Name of the data set."""
    seed: int
    device: str
    precision: str
    epochs: list[Epoch] = field(default_factory=list)
    step_losses: list[float] = field(default_factory=list)
    """Training loss of every step, in nats."""
    step_accuracies: list[float] = field(default_factory=list)
    """Share of the images of every step that were classified correctly, between 0 and 1."""
    seconds: float = 0.0
    """Time that training has taken so far; pauses of the run are left out."""
    test_accuracy: float = math.nan
    """Share of the test images, between 0 and 1, measured once after the last epoch."""

    @property
    def network(self) -> str:
        """Name of the network in the registry, or of its class."""
        name = self.net.name if isinstance(self.net, ImageClassifier) else None
        return name or type(self.net).__name__

    def settings(self) -> dict[str, Any]:
        """The settings of the run as plain data."""
        return {
            "network": self.network,
            "recipe": asdict(self.recipe) | {"augmentation": list(self.recipe.augmentation)},
            "data": self.data,
            "seed": self.seed,
            "device": self.device,
            "precision": self.precision,
        }

    def save(self, folder: Path | str) -> Path:
        """Write everything but the network to `folder`/history.json, and return that path."""
        path = Path(folder) / "history.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        row = self.settings() | {
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "step_losses": self.step_losses,
            "step_accuracies": self.step_accuracies,
            "seconds": self.seconds,
            "test_accuracy": self.test_accuracy,
        }
        path.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
        return path
