"""Runs that are killed, interrupted or broken off by an error keep what they have learned."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from convnets.training import Recipe, fit, load, run_folder, trainer
from convnets.training.data import Dataset, Split

RECIPE = Recipe(
    epochs=3,
    batch_size=32,
    learning_rate=0.05,
    schedule="one-cycle",
    augmentation=("flip",),
    average=0.9,
)
SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from convnets.training import Recipe, fit, load, run_folder, trainer
from convnets.training.data import Split
trainer.SAVE_SECONDS = 0.2
full = load("fashion-mnist-small")
few = replace(full, train=Split(full.train.images[:320], full.train.labels[:320]),
              test=Split(full.test.images[:100], full.test.labels[:100]))
recipe = Recipe(epochs=3, batch_size=32, learning_rate=0.05, schedule="one-cycle",
                augmentation=("flip",), average=0.9)
folder = Path(sys.argv[1])
resume = run_folder.holds_run(folder)
fit("resnet20", few, recipe, output_dir=folder, device="cpu", resume=resume, progress=False)
"""


@pytest.fixture(scope="module")
def few() -> Dataset:
    full = load("fashion-mnist-small")
    train = Split(full.train.images[:640], full.train.labels[:640])
    test = Split(full.test.images[:100], full.test.labels[:100])
    return replace(full, train=train, test=test)


def weights(folder) -> dict[str, torch.Tensor]:
    return torch.load(folder / "weights.pt", weights_only=True)


def equal(first, second) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(first[key], second[key]) for key in first
    )


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_with_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "SAVE_SECONDS", trainer.SAVE_SECONDS)  # SCRIPT changes it
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "whole")])
    exec(SCRIPT, {})
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT]
    delays, kills = random.Random(0), 0
    checkpoint = tmp_path / "killed" / run_folder.CHECKPOINT
    while not (tmp_path / "killed" / "weights.pt").exists():
        run = subprocess.Popen([*command, tmp_path / "killed"], env=environment)
        if kills < 2:
            before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
            while not (checkpoint.exists() and checkpoint.stat().st_mtime_ns > before):
                assert run.poll() in (None, 0)
                time.sleep(0.01)
            time.sleep(delays.uniform(0, 0.4))
            run.kill()
            kills += 1
        run.wait()
    assert kills == 2
    assert equal(weights(tmp_path / "whole"), weights(tmp_path / "killed"))
    whole, killed = (
        json.loads((tmp_path / name / "history.json").read_text()) for name in ("whole", "killed")
    )
    assert whole["step_losses"] == killed["step_losses"]
    assert whole["test_accuracy"] == killed["test_accuracy"]


@pytest.mark.slow
def test_ctrl_c_saves_a_checkpoint_and_says_how_to_continue(tmp_path):
    run = subprocess.Popen(
        [sys.executable, "-m", "convnets", "train", "resnet20", "--output-dir", tmp_path / "run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    time.sleep(1)
    while not (tmp_path / "run" / "config.json").exists():
        time.sleep(0.1)
    time.sleep(3)
    run.send_signal(signal.SIGINT)
    output, _ = run.communicate(timeout=120)
    assert "--resume" in output
    assert run.returncode == 130
    assert (tmp_path / "run" / run_folder.CHECKPOINT).is_file()


def test_a_finished_run_is_not_trained_again(few, tmp_path):
    options = {"recipe": replace(RECIPE, epochs=1), "output_dir": tmp_path, "device": "cpu"}
    first = fit("lenet5", few, progress=False, **options)
    before = weights(tmp_path)
    again = fit("lenet5", few, progress=False, resume=True, **options)
    assert again.step_losses == first.step_losses
    assert equal(before, weights(tmp_path))


def test_a_folder_that_holds_a_run_is_not_overwritten(few, tmp_path):
    options = {"recipe": replace(RECIPE, epochs=1), "output_dir": tmp_path, "device": "cpu"}
    fit("lenet5", few, progress=False, **options)
    with pytest.raises(ValueError, match="already holds a run; continue it with resume=True"):
        fit("lenet5", few, progress=False, **options)
    with pytest.raises(ValueError, match="a run with another network"):
        fit("resnet20", few, progress=False, resume=True, **options)
    with pytest.raises(ValueError, match="a run with another seed"):
        fit("lenet5", few, progress=False, resume=True, seed=4, **options)


def test_a_folder_that_cannot_be_written_to_is_refused_before_the_first_epoch(few, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written to"):
        fit("lenet5", few, RECIPE, output_dir=tmp_path / "file" / "run", device="cpu")


def test_too_little_disk_space_is_refused_before_the_first_epoch(few, tmp_path, monkeypatch):
    usage = run_folder.shutil.disk_usage(tmp_path)._replace(free=10_000)
    monkeypatch.setattr(run_folder.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(ValueError, match="0 MB free, but the checkpoints of a run need"):
        fit("lenet5", few, RECIPE, output_dir=tmp_path, device="cpu")


def test_a_full_disk_leaves_the_last_checkpoint_usable(tmp_path, monkeypatch):
    checkpoint = tmp_path / run_folder.CHECKPOINT
    run_folder.save_atomically({"step": 1}, checkpoint)

    def full(state, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_folder.torch, "save", full)
    with pytest.raises(OSError, match="the previous one is still there"):
        run_folder.save_atomically({"step": 2}, checkpoint)
    assert run_folder.read_checkpoint(tmp_path, torch.device("cpu")) == {"step": 1}
    assert list(tmp_path.iterdir()) == [checkpoint]


def test_a_damaged_checkpoint_is_reported(few, tmp_path):
    (tmp_path / run_folder.CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged"):
        fit("lenet5", few, RECIPE, output_dir=tmp_path, device="cpu", resume=True)


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(few, tmp_path):
    class Breaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.calls = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), 0

        def forward(self, x):
            self.calls += self.training
            return self.net(x) * (float("nan") if self.calls > 25 else 1)

    with pytest.raises(FloatingPointError, match=f"last good checkpoint is in {tmp_path}"):
        fit(Breaks(), few, RECIPE, output_dir=tmp_path, device="cpu", progress=False)
    state = run_folder.read_checkpoint(tmp_path, torch.device("cpu"))
    assert len(state["epochs"]) == 1
    assert all(value.isfinite().all() for value in state["net"].values())
