"""Two processes, which `torchrun` starts with gloo on the CPU, train like one."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from inspect import getsource
from pathlib import Path
from typing import Any

import pytest
import torch

import convnets
from convnets.training import Dataset, evaluate, load

pytestmark = pytest.mark.slow
TRAIN = ["-m", "convnets", "train", "lenet5", "--recipe", "plain-sgd", "--epochs", "1"]
TWO = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def few(train: int, test: int) -> Dataset:
    """The first images of both splits of the subset."""
    full = load()
    images = {"train": full.train.subset(torch.arange(train))}
    return replace(full, **images, test=full.test.subset(torch.arange(test)))


SCRIPT = f"""
import sys
from dataclasses import replace
import torch
import convnets
from convnets.training import Dataset, Recipe, fit, load
{getsource(few)}
torch.manual_seed(0)
def fitted(*arguments, **options):
    options |= {{"device": "cpu", "precision": "no", "progress": False}}
    fit(*arguments, output_dir=sys.argv[1], **options)
"""


def run(folder: Path, launcher: list[str], *command: str | Path) -> dict[str, Any]:
    """Run a command that trains into `folder`; return the history of the run."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *launcher, *command], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    written: dict[str, Any] = json.loads((folder / "history.json").read_text())
    return written


def train(folder: Path, launcher: list[str]) -> dict[str, Any]:
    options = ["--device", "cpu", "--precision", "no", "--output-dir", folder]
    return run(folder, launcher, *TRAIN, *options)


def script(folder: Path, launcher: list[str], text: str) -> dict[str, Any]:
    folder.mkdir()
    path = folder.with_suffix(".py")
    path.write_text(SCRIPT + text)
    return run(folder, launcher, path, folder)


def test_two_processes_give_the_same_losses_as_one(tmp_path):
    one, two = train(tmp_path / "one", []), train(tmp_path / "two", TWO)
    assert len(one["step_losses"]) == len(two["step_losses"]) > 50
    for curve in ("step_losses", "step_accuracies"):
        assert two[curve] == pytest.approx(one[curve], abs=1e-4)
    for measured in ("validation_loss", "validation_accuracy"):
        assert two["epochs"][0][measured] == pytest.approx(one["epochs"][0][measured], abs=1e-3)


def test_two_processes_weigh_an_incomplete_batch_by_images(tmp_path):
    """Of 11 images, one process gets 6 and the other 5; of 3 test images, 2 and 1."""
    steps = """
fitted("lenet5", few(12, 3), "plain-sgd", epochs=20)
"""
    one, two = script(tmp_path / "one", [], steps), script(tmp_path / "two", TWO, steps)
    assert len(one["step_losses"]) == 20
    for curve in ("step_losses", "step_accuracies"):
        assert two[curve] == pytest.approx(one[curve], abs=1e-5)
    assert two["test_accuracy"] == one["test_accuracy"]
    weights = [
        torch.load(tmp_path / name / "weights.pt", weights_only=True) for name in ("one", "two")
    ]
    torch.testing.assert_close(*weights, rtol=0, atol=1e-5)


def test_the_test_accuracy_of_two_processes_is_that_of_the_saved_network(tmp_path):
    """On CPUs, each process collects batch statistics of its own images."""
    steps = """
net = convnets.create_model("resnet20", 10, 1)
fitted(net, few(72, 201), Recipe(epochs=1, batch_size=8, learning_rate=0.02))
"""
    history = script(tmp_path / "two", TWO, steps)
    saved = convnets.create_model("resnet20", 10, 1)
    saved.load_state_dict(torch.load(tmp_path / "two" / "weights.pt", weights_only=True))
    assert history["test_accuracy"] == evaluate(saved, few(72, 201), "cpu")


@pytest.mark.sweep
def test_accelerate_launch_starts_the_command(tmp_path):
    launcher = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1"]
    assert train(tmp_path / "run", launcher)["step_losses"]
