import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import convnets
from convnets.__main__ import app

runner = CliRunner()


def test_show_alexnet_prints_the_lectures_sizes_and_conv1s_parameters():
    result = runner.invoke(app, ["show", "alexnet"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    sizes = [
        int(re.search(r"(\d+)x\d+x\d+", line).group().split("x")[1])
        for line in lines
        if re.search(r"features\.(conv|pool)\d", line)
    ]
    assert sizes == [55, 27, 27, 13, 13, 13, 13, 6]
    conv1 = next(line for line in lines if "features.conv1" in line)
    assert all(count in conv1 for count in ("34,848", "96", "34,944"))


def test_show_prints_the_totals():
    assert "138,357,544" in runner.invoke(app, ["show", "vgg16"]).stdout


def test_show_takes_another_input_size():
    assert "64x64x64" in runner.invoke(app, ["show", "vgg16", "--input-size", "64"]).stdout


def test_list_names_every_network():
    output = runner.invoke(app, ["list"]).stdout
    assert all(re.search(rf"\b{name}\b", output) for name in convnets.list_models())


def test_an_unknown_network_is_answered_in_one_sentence():
    result = runner.invoke(app, ["show", "vgg17"])
    assert result.exit_code == 2
    assert "did you mean vgg1" in result.output
    assert "Traceback" not in result.output


def test_an_impossible_input_size_is_answered_in_one_sentence():
    result = runner.invoke(app, ["show", "vgg16", "--input-size", "8"])
    assert result.exit_code == 2
    assert "too small" in result.output


@pytest.mark.slow
def test_training_prints_the_test_accuracy_and_writes_the_history(tmp_path):
    command = [
        sys.executable,
        "-m",
        "convnets.training",
        "lenet5",
        "--epochs",
        "1",
        "--device",
        "cpu",
    ]
    result = subprocess.run([*command, "--output-dir", tmp_path], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert re.search(r"test accuracy \d+\.\d%", result.stdout)
    assert (tmp_path / "history.json").is_file()


def test_training_answers_an_unknown_network_in_one_sentence():
    command = [sys.executable, "-m", "convnets.training", "lenet", "--epochs", "1"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert "did you mean" in result.stderr
    assert "Traceback" not in result.stderr


def test_compare_puts_networks_side_by_side():
    output = runner.invoke(app, ["compare", "resnet18", "vgg16"]).stdout
    parameters = next(line for line in output.splitlines() if "parameters" in line)
    assert "11,689,512" in parameters
    assert "138,357,544" in parameters


def test_compare_answers_an_unknown_network_in_one_sentence():
    result = runner.invoke(app, ["compare", "resnet18", "vgg17"])
    assert result.exit_code == 2
    assert "did you mean vgg1" in result.output
