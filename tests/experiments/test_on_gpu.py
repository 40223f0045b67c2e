"""Chapters show the GPU's result after the CPU's, once there is one."""

import shutil
from pathlib import Path

import pytest

from convnets import experiments
from convnets.experiments import EXPERIMENTS, ExperimentResult, on_gpu


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(experiments, "RECORDED", tmp_path)
    return tmp_path


def record(folder: Path) -> ExperimentResult:
    """Let a result of the CPU stand for one of the GPU."""
    path = folder / "degradation-gpu.json"
    shutil.copy(Path(experiments.__file__).with_name("recorded") / "degradation-cpu.json", path)
    return ExperimentResult.load(path)


def test_nothing_is_shown_without_a_result(folder):
    assert [on_gpu(name) for name in EXPERIMENTS] == [""] * len(EXPERIMENTS)


def test_a_result_is_shown_with_its_origin(folder):
    result = record(folder)
    text = on_gpu("degradation")
    assert text.startswith("\n\nWith the larger budget, on a GPU:\n\n- plain-20 against plain-56:")
    assert all(f"- {sentence}\n" in text for sentence in result.verdict().splitlines())
    assert text.endswith(f"({result.origin()}.)")


@pytest.mark.parametrize("runs", [0, 1])
def test_a_result_with_fewer_than_two_runs_of_a_network_is_not_shown(runs, folder):
    result = record(folder)
    result.runs = [run for run in result.runs if run.arm != "plain-56" or run.seed < runs]
    result.save(folder / "degradation-gpu.json")
    assert on_gpu("degradation") == ""


def test_every_experiment_that_a_chapter_shows_is_shown_for_the_gpu_as_well():
    chapters = Path(__file__).parents[2] / "chapters"
    text = "".join(path.read_text("utf-8") for path in sorted(chapters.glob("*.ipynb")))
    assert [name for name in EXPERIMENTS if f'on_gpu(\\"{name}\\")' not in text] == []
