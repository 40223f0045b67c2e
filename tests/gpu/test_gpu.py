"""What only a GPU can show; `make gpu` runs these tests.

Without a GPU they are a sweep on the CPU, which shows that the tests themselves are right; those
that say nothing there are skipped.
"""

import os
import subprocess
import sys
from dataclasses import replace
from statistics import fmean

import pytest
import torch
from torch import nn
from torchvision.io import write_jpeg

import convnets
from convnets import transfer
from convnets.analysis import effective_receptive_field, grad_cam, numerical_receptive_field
from convnets.experiments import EXPERIMENTS
from convnets.experiments.running import run_arm
from convnets.training import RECIPES, RunRecord, evaluate, fit, load, load_folder
from convnets.training.batches import Batches
from convnets.training.data import Dataset
from convnets.training.device import default_device
from convnets.training.engine import make_accelerator
from convnets.training.trainer import Trainer
from tests.experiments.test_on_the_device import of_gpu
from tests.training.test_meta_step import all_parts

pytestmark = pytest.mark.gpu
GPU = default_device()
on_a_gpu = pytest.mark.skipif(GPU.type != "cuda", reason="needs a GPU")


@pytest.fixture(scope="module")
def some() -> Dataset:
    data = load()
    train, test = (part.subset(torch.arange(640)) for part in (data.train, data.test))
    return replace(data, train=train, test=test)


def fitted(data, net="resnet20", **options):
    return fit(net, data, **({"epochs": 2, "device": GPU, "progress": False} | options))


@on_a_gpu
@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_a_step_does_not_wait_for_the_gpu(precision, some):
    net = convnets.create_model("googlenet_bn", 10, 1)
    record = RunRecord(net, replace(all_parts(net), batch_size=64), some.name, 0, "cuda", precision)
    trainer = Trainer(record, some, make_accelerator("cuda", precision))
    trainer.model.train()
    batches = list(trainer.train_batches.epoch(1))
    trainer.train_step(*batches[0])  # libraries are loaded
    torch.cuda.set_sync_debug_mode("error")
    try:
        for images, labels in batches[1:4]:
            trainer.train_step(images, labels)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(trainer.step_metrics) == 4


def test_it_learns_as_on_the_cpu(some):
    recipe = replace(RECIPES["plain-sgd"], epochs=1)
    runs = [fitted(some, "lenet5", recipe=recipe, device=d, precision="no") for d in ("cpu", GPU)]
    assert runs[1].step_losses == pytest.approx(runs[0].step_losses, abs=0.02)


@pytest.mark.parametrize("precision", ["no", "bf16", pytest.param("fp16", marks=on_a_gpu)])
def test_every_precision_trains(precision, some):
    recipe = replace(RECIPES["plain-sgd"], batch_size=32)
    record = fitted(some, recipe=recipe, epochs=3, precision=precision)
    assert fmean(record.step_losses[-18:]) < 0.8 * fmean(record.step_losses[:18])
    assert evaluate(record.net, some, GPU) == pytest.approx(record.test_accuracy, abs=0.03)


def test_a_deterministic_run_has_the_same_bits_each_time(some):
    first, second = (fitted(some, deterministic=True) for _ in range(2))
    assert first.step_losses == second.step_losses
    for one, other in zip(first.net.parameters(), second.net.parameters(), strict=True):
        assert torch.equal(one, other)


@on_a_gpu
def test_a_network_without_deterministic_gradients_is_refused_at_once(some):
    with pytest.raises(ValueError, match=r"no deterministic algorithm .* adaptive_avg_pool2d_back"):
        fitted(some, "alexnet", deterministic=True)


@on_a_gpu
@pytest.mark.parametrize("option", ["compile", "cuda_graphs"])
def test_a_compiled_network_learns_the_same(option, some):
    recipe = replace(RECIPES["plain-sgd"], epochs=2, learning_rate=0.01)
    plain, other = (
        fitted(some, recipe=recipe, precision="no", **extra) for extra in ({}, {option: True})
    )
    assert other.step_losses == pytest.approx(plain.step_losses, abs=0.05)


def test_files_reach_the_gpu_as_they_reach_the_cpu(tmp_path):
    for number in range(12):
        for part in ("train", "val"):
            path = tmp_path / part / f"{number % 2}" / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_jpeg(torch.randint(256, (3, 40, 50), dtype=torch.uint8), str(path))
    data, net = load_folder(tmp_path, image_size=32), nn.Identity()
    runs = []
    for device in (torch.device("cpu"), GPU):
        batches = Batches(data.train, data, net, device, 4, seed=0, num_workers=2)
        runs.append([(images.cpu(), labels.cpu()) for images, labels in batches.epoch(1)])
    for (images, labels), (others, numbers) in zip(*runs, strict=True):
        torch.testing.assert_close(images, others)
        assert torch.equal(labels, numbers)


@on_a_gpu
def test_an_uploaded_tensor_is_complete_before_it_is_used():
    upload = transfer.make_uploader(GPU)
    tensors = [torch.full((1 << 24,), n, dtype=torch.int32).pin_memory() for n in range(8)]
    sums = [upload(tensor).sum() for tensor in tensors]
    assert [total.item() for total in sums] == [n << 24 for n in range(8)]


def test_analyses_agree_with_the_cpu():
    net = convnets.create_model("resnet20").eval()
    images = torch.rand(2, 3, 32, 32)
    maps, field = grad_cam(net, images), effective_receptive_field(net, "features.stage1")
    pixels = numerical_receptive_field(net, "features.stage1")
    net.to(GPU)
    torch.testing.assert_close(grad_cam(net, images.to(GPU)).cpu(), maps, atol=1e-2, rtol=0)
    again = effective_receptive_field(net, "features.stage1")
    assert again.energy.device.type == GPU.type
    assert abs(again.size - field.size) <= 2
    assert numerical_receptive_field(net, "features.stage1") == pixels


@pytest.fixture(scope="module")
def few(some) -> Dataset:
    places = torch.arange(20)
    return replace(some, train=some.train.subset(places), test=some.test.subset(places))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs(name, few):
    entry = EXPERIMENTS[name]
    for arm in entry.arms:
        assert run_arm(arm, few, of_gpu(entry), seed=0).losses


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_two_gpus_train():
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    train = ["-m", "convnets", "train", "resnet20", "--epochs", "1"]
    run = subprocess.run(
        [sys.executable, *launcher, *train], env=os.environ, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "test accuracy" in run.stdout
