"""Two processes, which `torchrun` starts with gloo on the CPU, train like one."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
TRAIN = ["-m", "convnets", "train", "lenet5", "--recipe", "plain-sgd", "--epochs", "1"]


def losses(folder, launcher: list[str]) -> list[float]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, *TRAIN, "--device", "cpu", "--precision", "no"]
    run = subprocess.run(
        [*command, "--output-dir", folder], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    written: list[float] = json.loads((folder / "history.json").read_text())["step_losses"]
    return written


def test_two_processes_give_the_same_losses_as_one(tmp_path):
    one = losses(tmp_path / "one", [])
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    two = losses(tmp_path / "two", launcher)
    assert len(one) == len(two) > 50
    assert two == pytest.approx(one, abs=1e-4)


@pytest.mark.sweep
def test_accelerate_launch_starts_the_command(tmp_path):
    launcher = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1"]
    assert losses(tmp_path / "run", launcher)
