"""The code of `make gpu`, as far as a CPU can run it."""

from dataclasses import replace

import pytest
import torch
import torchvision.models

from benchmarks import gpu
from benchmarks.gpu_loops import Setting, images_per_second, loading_lines, speed_lines
from convnets.experiments import EXPERIMENTS, ExperimentResult
from convnets.training.device import cpus_of_this_process

CPU = torch.device("cpu")
TINY = Setting(
    {"mobilenet_v2": (torchvision.models.mobilenet_v2, "mobilenetv2_100"), "resnet20": None},
    batch=2,
    side=32,
    images=8,
    classes=2,
    steps=1,
    rounds=1,
    matrix=64,
)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_machine_without_a_gpu_is_told_so_in_one_sentence():
    with pytest.raises(SystemExit) as stop:
        gpu.main()
    assert stop.value.code == gpu.NO_GPU  # a sentence is printed, and the status is 1
    assert gpu.NO_GPU.count(".") == 1


def test_ours_and_the_others_are_measured_in_the_same_loop():
    lines = speed_lines(TINY, CPU)
    assert [line.split(" | ")[0] for line in lines[3:]] == [
        *("| mobilenet_v2", "| torchvision's mobilenet_v2", "| timm's mobilenet_v2"),
        "| resnet20",
    ]
    assert all(float(line.split(" | ")[1]) > 0 for line in lines[3:])


def test_files_are_read_and_trained_on():
    lines = loading_lines(replace(TINY, networks={"resnet20": None}), CPU)
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        f"| reading with {cpus_of_this_process()} processes",
        "| reading and training resnet20",
    ]


def test_the_images_per_second_of_all_processes_are_a_number():
    assert images_per_second(replace(TINY, networks={"resnet20": None}), CPU) > 0


def test_an_experiment_is_recorded_and_one_that_fails_is_reported(tmp_path):
    entry = EXPERIMENTS["momentum"]
    recipe = replace(entry.cpu.recipe, batch_size=32)
    short = replace(entry.cpu, epochs=1, images=80, seeds=2, recipe=recipe)
    line = gpu.run_experiment(replace(entry, cpu=short), tmp_path, "cpu")
    assert line.startswith("- momentum: momentum 0.9 against ")
    assert len(ExperimentResult.load(tmp_path / "momentum-cpu.json").runs) == 2 * len(entry.arms)
    line = gpu.run_experiment(entry, tmp_path, "tpu")
    assert line.startswith("- momentum: not finished, because unknown budget 'tpu'")
