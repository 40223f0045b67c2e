"""The command `convnets`, started as users do or called in this process."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import convnets
from convnets.__main__ import app

COMMANDS = ("list", "show", "compare", "ledger", "train", "experiment")
HEAVY = {"accelerate", "matplotlib", "torchvision", "convnets.training", "convnets.experiments"}


def invoke(*arguments: str, width: int | None = None):
    """Call the command in this process, in a pipe or in a terminal of this width."""
    columns = None if width is None else str(width)
    return CliRunner().invoke(app, arguments, env={"COLUMNS": columns})


def start(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Start a command in a process with a terminal of 80 columns."""
    environment = {**os.environ, "COLUMNS": "80"}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def header(output: str) -> str:
    """The line above the first rule of a table."""
    lines = output.splitlines()
    return lines[next(index for index, line in enumerate(lines) if line.startswith("──")) - 1]


def test_python_m_convnets_and_the_console_script_print_the_same():
    script = start(Path(sys.executable).with_name("convnets"), "list")
    module = start(sys.executable, "-m", "convnets", "list")
    assert module.returncode == script.returncode == 0, module.stderr + script.stderr
    assert module.stdout == script.stdout
    alexnet = next(line for line in module.stdout.splitlines() if line.startswith("alexnet "))
    assert alexnet.split() == ["alexnet", "2012", "227x227", "61.0M", "0.72G", "40.70%", "18.20%"]


def test_the_help_lists_all_commands_without_importing_what_they_need():
    code = f"""
import sys
from convnets.__main__ import app
app(["--help"], standalone_mode=False)
print(*({HEAVY} & set(sys.modules)), file=sys.stderr)
"""
    result = start(sys.executable, "-c", code)
    assert result.returncode == 0, result.stderr
    assert all(re.search(rf"│ {name} ", result.stdout) for name in COMMANDS)
    assert result.stderr.split() == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_shows_the_default_of_every_option(name):
    result = invoke(name, "--help", width=80)
    assert result.exit_code == 0
    assert f"{name} [OPTIONS]" in result.stdout
    options = re.split(r"^│ (?=--)", result.stdout, flags=re.MULTILINE)[1:]
    assert [option.split()[0] for option in options if "[default: " not in option] == ["--help"]


def test_the_help_of_train_gives_defaults_as_values_or_in_words():
    text = " ".join(re.sub("[│╭╰─]", " ", invoke("train", "--help", width=80).stdout).split())
    for default in ("fashion-mnist-small", "modern", "(the recipe's)", "(off)", "224", "stop"):
        assert f"[default: {default}]" in text


@pytest.mark.parametrize(
    ("command", "columns"),
    [
        ("list", ["name", "year", "input", "params", "MACs", "top-1 error", "top-5 error"]),
        ("show vgg16", ["layer", "kernel", "stride", "output", "parameters", "MACs"]),
        ("show se_googlenet", ["layer", "output", "parameters"]),  # the longest names of layers
        ("compare inception_resnet_v2 vgg16", ["name", "layers", "params", "MACs", "top-1 error"]),
        ("ledger", ["slide", "statement", "claimed", "computed", "verdict"]),
        ("ledger --differs", ["slide", "statement", "claimed", "computed", "note"]),
        ("experiment list", ["name", "slides", "question"]),
    ],
)
def test_tables_fit_80_columns(command, columns):
    result = invoke(*command.split(), width=80)
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "…" not in result.stdout
    shown = header(result.stdout)
    assert [column for column in columns if column not in shown] == []
    assert ("Left out" in result.stdout) == (command != "experiment list")


@pytest.mark.parametrize(
    ("command", "last"),
    [
        ("list", "error measured on"),
        ("show se_googlenet", "start"),
        ("compare vgg16 resnet50", "error measured on"),
        ("ledger --slide 20", "note"),
    ],
)
def test_a_pipe_gets_all_columns(command, last, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    result = invoke(*command.split())
    assert header(result.stdout).rstrip().endswith(last)
    assert "Left out" not in result.stdout


def test_list_names_every_network():
    output = invoke("list").stdout
    assert all(re.search(rf"\b{name}\b", output) for name in convnets.list_models())


def test_show_alexnet_prints_the_lectures_sizes_and_conv1s_parameters():
    result = invoke("show", "alexnet")
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
    assert "138,357,544" in invoke("show", "vgg16").stdout


def test_show_takes_another_image_size():
    output = invoke("show", "vgg16", "--image-size", "64").stdout
    assert "for one image of 64x64 pixels" in output
    assert "64x64x64" in output


def test_compare_prints_a_row_for_each_network():
    lines = invoke("compare", "resnet50", "densenet121").stdout.splitlines()
    resnet50, densenet121 = (line.split()[:10] for line in lines[2:4])
    assert resnet50[:6] == ["resnet50", "2015", "224x224", "54", "25.6M", "4.09G"]
    assert densenet121[:6] == ["densenet121", "2016", "224x224", "121", "8.0M", "2.83G"]
    assert (resnet50[6:8], densenet121[6:8]) == (["82.0", "MiB"], ["124.5", "MiB"])  # saved
    assert (resnet50[8:], densenet121[8:]) == (["10.5", "MiB"], ["8.6", "MiB"])  # peak


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("show vgg17", "did you mean vgg1"),
        ("show vgg16 --image-size 8", "too small"),
        ("compare resnet18 vgg17", "did you mean vgg1"),
        ("ledger --slide 70", "69"),
        ("train lenet --epochs 1", "did you mean"),
        ("train lenet5 --data image-folder", "needs --data-root"),
        ("train lenet5 --speed 3", "No such option: --speed"),
        ("experiment degradations", "did you mean degradation"),
        ("explain vgg16", "No such command 'explain'"),
    ],
)
def test_bad_input_is_answered_in_one_sentence(command, problem):
    result = invoke(*command.split(), width=120)
    assert result.exit_code == 2
    assert problem in result.output
    assert "Traceback" not in result.output


@pytest.mark.slow
def test_training_prints_the_test_accuracy_and_writes_the_history(tmp_path):
    options = ("--epochs", "1", "--device", "cpu", "--output-dir", str(tmp_path))
    result = invoke("train", "lenet5", *options)
    assert result.exit_code == 0, result.stderr
    assert re.search(r"test accuracy \d+\.\d%", result.stdout)
    assert (tmp_path / "history.json").is_file()
