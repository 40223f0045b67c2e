"""What a run shows while it lasts, and the picture that it leaves."""

import io
import json
import os
import re
import signal
import sys
import time
from dataclasses import replace
from select import select

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import convnets
from convnets.__main__ import app
from convnets.experiments import experiment
from convnets.experiments.core import Arm
from convnets.experiments.running import run_arm
from convnets.training import Epoch, Recipe, RunRecord, command, device, fit, load
from convnets.training.data import Dataset, Split
from convnets.training.learning_curves import learning_curves

RECIPE = Recipe(epochs=3, batch_size=32, learning_rate=0.05)
LINE = r"epoch {}: training loss \d\.\d{{3}}, validation accuracy \d+\.\d%, \d+ s\n"


@pytest.fixture(scope="module")
def few() -> Dataset:
    full = load("fashion-mnist-small")
    train = Split(full.train.images[:320], full.train.labels[:320])
    test = Split(full.test.images[:100], full.test.labels[:100])
    return replace(full, train=train, test=test)


class Slow(nn.Module):
    """A linear network whose training steps take time; `at_step` is called in each of them."""

    def __init__(self, seconds: float = 0.0, at_step=lambda step: None) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
        self.seconds, self.at_step, self.steps = seconds, at_step, 0

    def forward(self, x):
        if self.training:
            self.steps += 1
            time.sleep(self.seconds)
            self.at_step(self.steps)
        return self.net(x)


def epoch_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("epoch ")]


def test_the_line_of_an_epoch_has_left_the_process_before_the_next_epoch(few, monkeypatch):
    reader, writer = os.pipe()
    arrived = []

    def look(step: int) -> None:
        if step % 9 == 1:  # the first of an epoch
            arrived.append(
                os.read(reader, 10_000).decode() if select([reader], [], [], 0)[0] else ""
            )

    with os.fdopen(writer, "w") as pipe:  # buffered, as the standard output of a piped command is
        monkeypatch.setattr(sys, "stdout", pipe)
        fit(Slow(at_step=look), few, RECIPE, device="cpu")
    assert arrived[0] == ""
    assert [bool(re.fullmatch(LINE.format(n), arrived[n])) for n in (1, 2)] == [True, True]


def test_the_line_of_an_epoch_does_not_run_into_the_progress_bar(few, monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    fit(Slow(), few, RECIPE, device="cpu")
    for number in (1, 2, 3):
        assert re.search(r"[\r\n]" + LINE.format(number), terminal.getvalue())
    assert "images/s" in terminal.getvalue()


def test_a_run_without_progress_prints_nothing(few, capsys):
    fit(Slow(), few, RECIPE, device="cpu", progress=False)
    output = capsys.readouterr()
    assert output.out + output.err == ""


def test_a_resumed_run_shows_the_epochs_before_the_pause_too(few, tmp_path, capsys):
    options = {"recipe": RECIPE, "output_dir": tmp_path, "device": "cpu"}
    with pytest.raises(KeyboardInterrupt):
        fit(Slow(at_step=interrupt_at(12)), few, **options)
    assert len(epoch_lines(capsys.readouterr().out)) == 1
    fit(Slow(), few, resume=True, **options)
    lines = epoch_lines(capsys.readouterr().out)
    assert [line.split(":")[0] for line in lines] == ["epoch 1", "epoch 2", "epoch 3"]


def test_the_bar_counts_the_images_there_are(few, capsys):
    tiny = replace(few, train=few.train.subset(torch.arange(20)))
    fit(Slow(), tiny, "plain-sgd", epochs=3, device="cpu")  # 18 images in place of a batch of 128
    assert "/54.0 " in capsys.readouterr().err


def test_an_epoch_counts_its_seconds_before_and_after_a_pause(few, tmp_path):
    options = {"recipe": RECIPE, "output_dir": tmp_path, "device": "cpu", "progress": False}
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        fit(Slow(0.03, interrupt_at(14)), few, **options)
    for step in (2, 4):
        with pytest.raises(KeyboardInterrupt):
            fit(Slow(0.03, interrupt_at(step)), few, resume=True, **options)
    record = fit(Slow(0.03), few, resume=True, **options)
    assert all(epoch.seconds >= 9 * 0.03 for epoch in record.epochs)
    assert sum(epoch.seconds for epoch in record.epochs) < time.perf_counter() - start


def interrupt_at(step: int):
    """Press Ctrl-C in this training step."""
    return lambda number: os.kill(os.getpid(), signal.SIGINT) if number == step else None


@pytest.fixture
def record() -> RunRecord:
    """Two epochs of three steps, without training."""
    epochs = [Epoch(1, 2.0, 0.3, 1.8, 0.4, 1.0), Epoch(2, 1.0, 0.6, 1.2, 0.5, 1.0)]
    return RunRecord(
        *(convnets.create_model("lenet5"), RECIPE, "fashion-mnist-small", 7, "cpu", "no"),
        epochs=epochs,
        step_losses=[2.5, 2.0, 1.5, 1.2, 1.0, 0.8],
        step_accuracies=[0.2, 0.3, 0.4, 0.5, 0.6, 0.7],
        test_accuracy=0.512,
    )


def curves(ax) -> dict[str, list[tuple[float, float]]]:
    return {line.get_label(): list(zip(*line.get_data(), strict=True)) for line in ax.lines}


def test_the_picture_shows_training_and_validation_together(record):
    loss, accuracy = learning_curves(record).axes
    assert curves(loss)["training"] == [(1, 2.0), (2, 1.0)]
    assert curves(loss)["validation"] == [(1, 1.8), (2, 1.2)]
    assert curves(accuracy)["training"] == [(1, 30), (2, 60)]
    assert curves(accuracy)["validation"] == [(1, 40), (2, 50)]
    for ax in (loss, accuracy):
        assert {text.get_text() for text in ax.get_legend().get_texts()} >= {
            "training",
            "validation",
        }
    steps = curves(loss)["training, each step"]
    assert steps[2] == (1, 1.5)  # the last step of the first epoch
    assert steps[-1] == (2, 0.8)


@pytest.mark.parametrize("epochs", [1, 2, 3, 17, 200])
def test_the_axis_of_the_picture_counts_whole_epochs(record, epochs):
    row = record.epochs[0]
    record.epochs = [replace(row, number=number) for number in range(1, epochs + 1)]
    record.step_losses = [2.0] * 3 * epochs
    figure = learning_curves(record)
    figure.draw_without_rendering()
    for ax in figure.axes:
        assert ax.get_xlabel() == "epoch"
        low, high = ax.get_xlim()
        ticks = [tick for tick in ax.get_xticks() if low <= tick <= high]
        assert ticks
        assert all(tick == round(tick) for tick in ticks)
        assert min(ticks) >= 0


def test_the_picture_has_a_title_that_names_the_run(record):
    title = learning_curves(record).get_suptitle()
    assert title == "lenet5 on fashion-mnist-small, seed 7: test accuracy 51.2%"
    record.net = nn.Sequential()
    assert learning_curves(record).get_suptitle().startswith("Sequential on ")


def test_the_record_measures_both_splits_in_every_epoch(few, tmp_path):
    record = fit(Slow(), few, RECIPE, output_dir=tmp_path, device="cpu", progress=False)
    written = json.loads((tmp_path / "history.json").read_text())
    assert len(written["step_accuracies"]) == len(record.step_accuracies) == 27
    for number, epoch in enumerate(record.epochs):
        steps = slice(9 * number, 9 * number + 9)
        assert epoch.train_accuracy == pytest.approx(sum(record.step_accuracies[steps]) / 9)
        assert epoch.train_loss == pytest.approx(sum(record.step_losses[steps]) / 9)
        assert 0 < epoch.validation_loss < 3
    assert record.epochs[-1].train_accuracy > 0.5


def test_a_run_on_the_cpu_does_not_name_the_gpu_of_the_machine(monkeypatch, few):
    gpu = torch.device("cuda")
    monkeypatch.setattr(device, "default_device", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda target: f"NVIDIA {target}")
    assert device.describe().startswith("NVIDIA cuda; PyTorch")
    assert device.describe("cuda:1").startswith("NVIDIA cuda:1; PyTorch")
    record = fit("lenet5", few, epochs=1, batch_size=16, device="cpu", progress=False)
    monkeypatch.setattr(command, "fit", lambda *arguments, **options: record)
    printed = CliRunner().invoke(app, ["train", "lenet5", "--device", "cpu"]).output
    assert printed.startswith("CPU, ")
    assert "NVIDIA" not in printed
    arm = Arm("lenet5", lambda budget: convnets.create_model("lenet5"), train=lambda *_: record)
    assert run_arm(arm, few, experiment("shuffle").cpu, 0).machine.startswith("CPU, ")
