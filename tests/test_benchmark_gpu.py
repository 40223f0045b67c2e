"""The code of `make gpu`, as far as a CPU can run it."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
import torch
import torchvision.models
from torch import nn

from benchmarks import gpu, gpu_loops
from benchmarks.gpu_loops import Setting, images_per_second, loading_lines, speed_lines
from convnets.experiments import EXPERIMENTS, ExperimentResult
from convnets.training.device import cpus_of_this_process

pytestmark = pytest.mark.slow
CPU = torch.device("cpu")
TINY = Setting(
    {"mobilenet_v2": (torchvision.models.mobilenet_v2, "mobilenetv2_100"), "resnet20": None},
    batch=2,
    side=32,
    images=8,
    classes=2,
    steps=1,
    rounds=1,
    batches_of_files=4,
    matrix=64,
)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_machine_without_a_gpu_is_told_so_in_one_sentence():
    with pytest.raises(SystemExit) as stop:
        gpu.main()
    assert stop.value.code == gpu.NO_GPU  # a sentence is printed, and the status is 1
    assert gpu.NO_GPU.count(".") == 1


def test_the_heading_names_the_commit_once_and_the_driver():
    heading = gpu.HEAD.format(machine=gpu.machine())
    assert heading.count("commit ") == 1
    assert "driver " in heading


def names(lines: Iterable[str]) -> list[str]:
    return [line.split(" | ")[0] for line in lines]


def test_ours_and_the_others_are_measured_in_the_same_loop():
    lines = list(speed_lines(TINY, CPU))[3:]
    assert names(lines) == [
        *("| mobilenet_v2", "| torchvision's mobilenet_v2", "| timm's mobilenet_v2"),
        "| resnet20",
    ]
    assert all(line.split(" | ")[1] == "2" for line in lines)
    assert all(float(line.split(" | ")[2]) > 0 for line in lines)


def test_a_network_that_fails_is_named_after_the_others(monkeypatch, tmp_path):
    speed = gpu_loops.Speed(batch=2, rate=3.0, overhead=0.01, memory=2**20)

    def measured(make, *arguments):
        if type(make()).__module__.startswith("timm"):
            raise RuntimeError("cuDNN error")
        return speed

    monkeypatch.setattr(gpu_loops, "measured", measured)
    report = gpu.Report(tmp_path / "gpu.md", "# Head")
    report.add("Table", speed_lines(TINY, CPU))
    report.add("Next", ["| one |"])
    lines = (tmp_path / "gpu.md").read_text("utf-8").splitlines()
    assert "| resnet20 | 2 | 3 |" in "".join(lines)
    assert "FAILED: could not be measured: timm's mobilenet_v2" in lines
    assert lines[-1] == "| one |"
    assert report.failed


def test_a_batch_that_does_not_fit_is_halved(monkeypatch):
    tried = []

    def once(make, dataset, setting, device, mode):
        tried.append(setting.batch)
        if setting.batch > fits:
            raise MemoryError
        return setting.batch

    monkeypatch.setattr(gpu_loops, "measured_once", once)
    fits = 2
    assert gpu_loops.measured(None, None, replace(TINY, batch=8), CPU, None) == 2
    assert tried == [8, 4, 2]
    fits = 0
    with pytest.raises(MemoryError):
        gpu_loops.measured(None, None, TINY, CPU, None)


def test_files_are_read_and_trained_on():
    lines = loading_lines(replace(TINY, networks={"resnet20": None}), CPU)
    assert names(lines)[2:] == [
        f"| reading with {cpus_of_this_process()} processes",
        "| reading and training resnet20",
    ]


def test_files_fill_the_batches_that_the_setting_asks_for(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_loops, "DIFFERENT_FILES", 5)
    data = gpu_loops.photographs(replace(TINY, batches_of_files=6), tmp_path)
    trainer = gpu_loops.make_trainer(nn.Linear(3072, 2), data, TINY, CPU)
    assert len(trainer.train_batches) == 6
    assert len({path.stat().st_ino for path in data.train.paths}) == 5


def test_the_images_per_second_of_all_processes_are_a_number():
    assert images_per_second(replace(TINY, networks={"resnet20": None}), CPU) > 0


@pytest.mark.sweep  # starts two processes, as tests of training do
def test_the_processes_of_all_gpus_are_compared_with_one(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import os\nif os.environ['RANK'] == '0': print(100.0)\n")
    assert list(gpu.scaling_lines(2, (str(program),)))[2:] == [
        "| 1 | 100 |  |",
        "| 2 | 100 | 50% |",
    ]
    program.write_text("raise SystemExit('no GPU')")
    with pytest.raises(RuntimeError, match=r"ended with status 1"):
        list(gpu.scaling_lines(2, (str(program),)))


@pytest.mark.parametrize(("outcome", "last"), [("True", "1 passed"), ("False", "1 failed")])
def test_the_last_line_of_the_tests_is_shown(outcome, last, tmp_path):
    text = f"import pytest\n\n@pytest.mark.gpu\ndef test_it():\n    assert {outcome}\n"
    (tmp_path / "test_one.py").write_text(text)
    report = gpu.Report(tmp_path / "gpu.md", "")
    report.add("Tests", gpu.pytest_lines(str(tmp_path)))
    assert last in (tmp_path / "gpu.md").read_text("utf-8").splitlines()[-1]
    assert report.failed == (outcome == "False")


def test_an_experiment_is_recorded_and_one_that_fails_is_reported(tmp_path):
    entry, other = EXPERIMENTS["momentum"], EXPERIMENTS["shuffle"]
    recipe = replace(entry.cpu.recipe, batch_size=32)
    short = replace(entry.cpu, epochs=1, images=80, seeds=3, recipe=recipe)
    chosen = [replace(other, cpu=replace(other.cpu, images=-1)), replace(entry, cpu=short)]
    report = gpu.Report(tmp_path / "gpu.md", "")
    report.add("Experiments", gpu.experiment_lines(chosen, tmp_path, "cpu"))
    first, second, _, last = (tmp_path / "gpu.md").read_text("utf-8").splitlines()[-4:]
    assert first.startswith("- shuffle: not finished, because fashion-mnist-small has 10,000")
    assert second.startswith("- momentum: momentum 0.9 against ")
    assert last == "FAILED: could not be run: shuffle"
    runs = ExperimentResult.load(tmp_path / "momentum-cpu.json").runs
    assert [run.seed for run in runs] == sorted([0, 1, 2] * len(entry.arms))
