"""The folder of a run: the checkpoint from which it continues, and its results.

`checkpoint.pt` is replaced as a whole or not at all, so a kill at any moment leaves a usable one.
"""

import csv
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import torchvision
from accelerate import Accelerator

from convnets.training.learning_curves import learning_curves
from convnets.training.record import Epoch, RunRecord

CHECKPOINT = "checkpoint.pt"
CONFIG = "config.json"
WEIGHTS = "weights.pt"
FREE_CHECKPOINTS = 4
"""Free space that a run needs before its first epoch, as a multiple of one checkpoint."""


class RunFolder:
    """Reads and writes the folder of one run. Of several processes, only the main one writes.

    Args:
        path: the folder, which need not exist.
        settings: everything that decides how the run proceeds, as plain data; a run is resumed
            with the same settings only, except for its device.
        accelerator: of the run.
    """

    def __init__(self, path: Path, settings: dict[str, Any], accelerator: Accelerator) -> None:
        self.path, self.settings, self.accelerator = path, settings, accelerator

    def has_checkpoint(self) -> bool:
        """Whether a run has saved a checkpoint here."""
        return (self.path / CHECKPOINT).is_file()

    def prepare(self, checkpoint_bytes: int, resume: bool) -> None:
        """Create the folder, and check that checkpoints can be written before hours are spent.

        Raises:
            ValueError: it cannot be written to, has too little space, or holds a run that is not
                to be resumed.
        """
        if self.accelerator.is_main_process:
            _make_writable(self.path)
            _check_free_space(self.path, FREE_CHECKPOINTS * checkpoint_bytes)
            if self.has_checkpoint() and not resume:
                raise ValueError(
                    f"{self.path} already holds a run; continue it with resume=True (--resume), or "
                    "choose another folder"
                )
        self.accelerator.wait_for_everyone()

    def save_checkpoint(self, parts: Mapping[str, Any], record: RunRecord) -> None:
        """Replace the checkpoint by the states of `parts` and the losses and accuracies so far.

        Raises:
            OSError: the disk is full or gone; the previous checkpoint is still usable.
        """
        if not self.accelerator.is_main_process:
            return
        state = {name: part.state_dict() for name, part in parts.items()}
        state |= {
            "settings": self.settings,
            "epochs": [asdict(epoch) for epoch in record.epochs],
            "step_losses": record.step_losses,
            "step_accuracies": record.step_accuracies,
            "seconds": record.seconds,
        }
        save_atomically(state, self.path / CHECKPOINT)

    def load_checkpoint(self, parts: Mapping[str, Any], record: RunRecord) -> None:
        """Bring `parts` and `record` to the state of the checkpoint; without one, start the run.

        Raises:
            ValueError: the checkpoint is damaged, or of a run with other settings.
        """
        state = read_checkpoint(self.path, self.accelerator.device)
        if state is None:
            if self.accelerator.is_main_process:
                self._write_config()
            return
        before = state["settings"]
        different = [key for key in self.settings if self.settings[key] != before.get(key)]
        if different := [key for key in different if key != "device"]:
            key = different[0]
            raise ValueError(
                f"{self.path} holds a run with another {key} ({before.get(key)}, now "
                f"{self.settings[key]}); continue with the same one, or choose another folder"
            )
        for name, part in parts.items():
            part.load_state_dict(state[name])
        record.epochs = [Epoch(**epoch) for epoch in state["epochs"]]
        record.step_losses = state["step_losses"]
        record.step_accuracies = state["step_accuracies"]
        record.seconds = state["seconds"]

    def save_results(self, record: RunRecord) -> None:
        """Write the final weights, and the record as JSON, CSV and a picture."""
        if not self.accelerator.is_main_process:
            return
        save_atomically(record.net.state_dict(), self.path / WEIGHTS)
        record.save(self.path)
        with (self.path / "history.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            columns = [each.name for each in fields(Epoch)]
            rows.writerow(["epoch", *columns[1:]])
            rows.writerows([getattr(epoch, name) for name in columns] for epoch in record.epochs)
        learning_curves(record).savefig(self.path / "history.png", dpi=120)

    def _write_config(self) -> None:
        """Write `config.json`: settings, versions, machine, state of the repository, date."""
        config = self.settings | {
            "command": sys.argv,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "git": _git_state(),
            "machine": platform.platform(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        }
        text = json.dumps(config, indent=1) + "\n"
        (self.path / CONFIG).write_text(text, encoding="utf-8")


def holds_run(folder: Path) -> bool:
    """Whether a run was started in `folder`, even if it was killed before its first checkpoint."""
    return any((folder / name).is_file() for name in (CHECKPOINT, CONFIG))


def save_atomically(state: dict[str, Any], path: Path) -> None:
    """Write `state` to a new file, and only then let it replace the old one.

    Raises:
        OSError: the disk is full or gone; the old file is still complete.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except (OSError, RuntimeError) as error:
        new.unlink(missing_ok=True)
        raise OSError(
            f"{path} could not be written ({error}); the previous one is still there: free some "
            "space, then continue with resume=True (--resume)"
        ) from error


def read_checkpoint(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The checkpoint in `folder`, with its tensors on `device`; `None` if there is none.

    Raises:
        ValueError: the file is damaged.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise ValueError(
            f"{path} is damaged ({error}); delete it to start the run again"
        ) from error
    return state


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.write_bytes(b"\0" * 1024)
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"{folder} cannot be written to ({error.strerror}); choose another folder for the run"
        ) from error


def _check_free_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ValueError(
            f"{folder} has {free / 1e6:.0f} MB free, but the checkpoints of a run need "
            f"{needed / 1e6:.0f} MB; free some space, or choose another folder"
        )


def _git_state() -> str | None:
    """Commit of the working directory, marked if files have changed; `None` outside of git."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
