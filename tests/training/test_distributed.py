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

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("distributed")]
TRAIN = ["-m", "convnets", "train", "lenet5", "--recipe", "plain-sgd", "--epochs", "1"]
TWO = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def few(train: int, test: int) -> Dataset:
    """The first images of both splits of the subset."""
    full = load()
    images = {"train": full.train.subset(torch.arange(train))}
    return replace(full, **images, test=full.test.subset(torch.arange(test)))


SCRIPT = f"""
from dataclasses import replace
import torch
import convnets
from convnets.training import Dataset, Recipe, fit, load
{getsource(few)}
torch.manual_seed(0)
def fitted(*arguments, **options):
    fit(*arguments, **options, device="cpu", precision="no", progress=False)
"""


def run(command: list[str | Path], folder: Path) -> None:
    """Run Python with these arguments, in `folder`."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    python = [sys.executable, *command]
    done = subprocess.run(python, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def history(folder: Path) -> dict[str, Any]:
    """What a run has written into its folder."""
    written: dict[str, Any] = json.loads((folder / "history.json").read_text())
    return written


def train(folder: Path, launcher: list[str]) -> dict[str, Any]:
    options = ["--device", "cpu", "--precision", "no", "--output-dir", folder]
    run([*launcher, *TRAIN, *options], folder.parent)
    return history(folder)


@pytest.mark.sweep  # the next test compares two processes with one, too
def test_two_processes_give_the_same_losses_as_one(tmp_path):
    one, two = train(tmp_path / "one", []), train(tmp_path / "two", TWO)
    assert len(one["step_losses"]) == len(two["step_losses"]) > 50
    for curve in ("step_losses", "step_accuracies"):
        assert two[curve] == pytest.approx(one[curve], abs=1e-4)
    for measured in ("validation_loss", "validation_accuracy"):
        assert two["epochs"][0][measured] == pytest.approx(one["epochs"][0][measured], abs=1e-3)


RUNS = """
fitted("lenet5", few(12, 3), "plain-sgd", epochs=20, output_dir="incomplete")
net = convnets.create_model("resnet20", 10, 1)
recipe = Recipe(epochs=1, batch_size=8, learning_rate=0.02)
fitted(net, few(72, 201), recipe, output_dir="normalised")
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """The folders of the same two runs on one process and on two."""
    launchers: dict[str, list[str]] = {"one": [], "two": TWO}
    folders = {name: tmp_path_factory.mktemp(name) for name in launchers}
    for name, launcher in launchers.items():
        (folders[name] / "script.py").write_text(SCRIPT + RUNS)
        run([*launcher, "script.py"], folders[name])
    return folders


def test_two_processes_weigh_an_incomplete_batch_by_images(runs):
    """Of 11 images, one process gets 6 and the other 5; of 3 test images, 2 and 1."""
    one, two = (history(runs[name] / "incomplete") for name in ("one", "two"))
    assert len(one["step_losses"]) == 20
    for curve in ("step_losses", "step_accuracies"):
        assert two[curve] == pytest.approx(one[curve], abs=1e-5)
    assert two["test_accuracy"] == one["test_accuracy"]
    weights = [
        torch.load(runs[name] / "incomplete" / "weights.pt", weights_only=True)
        for name in ("one", "two")
    ]
    torch.testing.assert_close(*weights, rtol=0, atol=1e-5)


def test_the_test_accuracy_of_two_processes_is_that_of_the_saved_network(runs):
    """On CPUs, each process collects batch statistics of its own images."""
    folder = runs["two"] / "normalised"
    saved = convnets.create_model("resnet20", 10, 1)
    saved.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    assert history(folder)["test_accuracy"] == evaluate(saved, few(72, 201), "cpu")


@pytest.mark.sweep
def test_accelerate_launch_starts_the_command(tmp_path):
    launcher = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1"]
    assert train(tmp_path / "run", launcher)["step_losses"]
