"""What a training run leaves to look at."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from convnets.training.recipes import Recipe


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training images gave."""

    number: int
    train_loss: float
    """Mean over the epoch, in nats."""
    validation_accuracy: float
    seconds: float


@dataclass
class History:
    """One training run. `net` is the trained network; accuracies are shares between 0 and 1."""

    net: nn.Module
    recipe: Recipe
    data: str
    seed: int
    device: str
    precision: str
    epochs: list[Epoch] = field(default_factory=list)
    step_losses: list[float] = field(default_factory=list)
    """Training loss of every step, in nats."""
    test_accuracy: float = math.nan
    """Measured once, after the last epoch."""

    def settings(self) -> dict[str, Any]:
        """What decides how the run goes, as plain data."""
        return {
            "recipe": asdict(self.recipe) | {"augmentation": list(self.recipe.augmentation)},
            "data": self.data,
            "seed": self.seed,
            "device": self.device,
            "precision": self.precision,
        }

    def save(self, folder: Path | str) -> Path:
        """Write everything but the network to `folder/history.json`."""
        path = Path(folder) / "history.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        row = self.settings() | {
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "step_losses": self.step_losses,
            "test_accuracy": self.test_accuracy,
        }
        path.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
        return path
