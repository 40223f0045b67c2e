"""The folder of a run: where a killed training goes on from, and what stays of a finished one.

`checkpoint.pt` is replaced as a whole or not at all, so a kill at any moment leaves a good one.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torchvision
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from convnets.training.record import RunRecord

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.pt"
ROOM = 4
"""Free space asked for before the first epoch, as a multiple of one checkpoint."""


def prepare(folder: Path, checkpoint_bytes: int, resume: bool) -> None:
    """Make the folder, and be sure that a checkpoint can be written before hours are spent.

    Raises:
        ValueError: it cannot be written to, has too little space, or holds a run already.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.write_bytes(b"\0" * 1024)
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"{folder} cannot be written to ({error.strerror}); choose another folder for the run"
        ) from error
    free, needed = shutil.disk_usage(folder).free, ROOM * checkpoint_bytes
    if free < needed:
        raise ValueError(
            f"{folder} has {free / 1e6:.0f} MB free, a run needs {needed / 1e6:.0f} MB for its "
            "checkpoints; free some space or choose another folder"
        )
    if (folder / CHECKPOINT).exists() and not resume:
        raise ValueError(
            f"{folder} holds a run already; go on with it by resume=True (--resume), or choose "
            "another folder"
        )


def save(folder: Path, name: str, state: dict[str, Any]) -> None:
    """Write `state` to a new file, and only then put it in the place of the old one.

    Raises:
        OSError: the disk is full or gone; the old file is still whole.
    """
    path, new = folder / name, folder / f"{name}.new"
    try:
        with new.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except (OSError, RuntimeError) as error:
        new.unlink(missing_ok=True)
        raise OSError(
            f"{path} could not be written ({error}); the one before is still there: make room, "
            "then go on with resume=True (--resume)"
        ) from error


def checkpoint(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The last checkpoint, `None` if there is none yet.

    Raises:
        ValueError: the file is damaged.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise ValueError(f"{path} is damaged ({error}); remove it to start the run anew") from error
    return state


def describe(folder: Path, settings: dict[str, Any]) -> None:
    """Write `config.json`: settings, versions, machine, state of the repository, date."""
    config = settings | {
        "command": sys.argv,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "git": _git_state(),
        "machine": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def board(folder: Path, first_step: int) -> Any:
    """A writer for TensorBoard, where that is installed, else `None`.

    Args:
        first_step: of this process; what an earlier one wrote behind it is forgotten.
    """
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(folder / "tensorboard", purge_step=first_step)


def finish(folder: Path, history: RunRecord) -> None:
    """Write the weights for use, the history as JSON and CSV, and a picture of it."""
    save(folder, WEIGHTS, history.net.state_dict())
    history.save(folder)
    with (folder / "history.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["epoch", "train_loss", "validation_accuracy", "seconds"])
        rows.writerows(
            (epoch.number, epoch.train_loss, epoch.validation_accuracy, epoch.seconds)
            for epoch in history.epochs
        )
    figure = Figure(figsize=(8, 3), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    loss.plot(history.step_losses, linewidth=1)
    loss.set(xlabel="step", ylabel="training loss, nats", ylim=(0, None))
    accuracy.plot(
        [epoch.number for epoch in history.epochs],
        [100 * epoch.validation_accuracy for epoch in history.epochs],
        marker="o",
    )
    accuracy.set(xlabel="epoch", ylabel="validation accuracy, %")
    figure.savefig(folder / "history.png", dpi=120)


def _git_state() -> str | None:
    """Commit of the working folder, with a mark if files have changed; `None` outside of git."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
