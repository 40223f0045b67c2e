"""Options that matter on a GPU, as far as a CPU can show them."""

import importlib.util
import os
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from convnets.training import RECIPES, RunRecord, fit, load
from convnets.training.data import Dataset
from convnets.training.device import (
    algorithms,
    cpus_of_this_process,
    default_workers,
    seed_default_generator,
)
from convnets.training.engine import _check_cuda_graphs, make_accelerator
from convnets.training.trainer import Trainer

PLAIN = replace(RECIPES["plain-sgd"], epochs=1, batch_size=32)


@pytest.fixture(scope="module")
def few() -> Dataset:
    data = load()
    train, test = (part.subset(torch.arange(80)) for part in (data.train, data.test))
    return replace(data, train=train, test=test)


class Watching(nn.Module):
    """A linear classifier that remembers in which mode PyTorch computes."""

    def __init__(self, fc: nn.Module | None = None) -> None:
        super().__init__()
        self.fc = nn.Linear(784, 10) if fc is None else fc
        self.seen: set[tuple[bool, bool, str | None]] = set()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        deterministic = torch.are_deterministic_algorithms_enabled()
        workspace = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
        self.seen.add((deterministic, torch.backends.cudnn.benchmark, workspace))
        return self.fc(x.flatten(1))


@pytest.mark.parametrize(
    ("deterministic", "expected"), [(True, (True, False, ":4096:8")), (False, (False, True, None))]
)
def test_a_run_is_deterministic_or_fast_and_leaves_the_settings_alone(
    deterministic, expected, few, monkeypatch
):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = torch.get_deterministic_debug_mode(), torch.backends.cudnn.benchmark
    net = Watching()
    options = {"epochs": 1, "device": "cpu", "progress": False, "batch_size": 32}
    fit(net, few, deterministic=deterministic, **options)
    assert net.seen == {expected}
    assert (torch.get_deterministic_debug_mode(), torch.backends.cudnn.benchmark) == before
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


def test_the_callers_own_settings_are_kept(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    torch.use_deterministic_algorithms(True)
    try:
        for deterministic in (True, False):
            with algorithms(deterministic):
                assert torch.are_deterministic_algorithms_enabled()
                assert not torch.backends.cudnn.benchmark
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    ("options", "mode"),
    [({}, None), ({"compile": True}, "default"), ({"cuda_graphs": True}, "reduce-overhead")],
)
def test_compilation_has_the_mode_of_the_option(options, mode, few, monkeypatch):
    modes = []
    monkeypatch.setattr(torch, "compile", lambda net, mode: modes.append(mode) or net)
    monkeypatch.setattr("convnets.training.engine._check_cuda_graphs", lambda *arguments: None)
    monkeypatch.setattr("convnets.training.options._check_compiler", lambda: None)
    fit(Watching(), few, PLAIN, device="cpu", progress=False, **options)
    assert modes == ([] if mode is None else [mode])


def test_every_network_of_a_long_program_is_compiled(few, monkeypatch):
    compiled, compile = [], torch.compile

    def backend(graph, inputs):
        compiled.append(graph)
        return graph

    monkeypatch.setattr(torch, "compile", lambda net, mode: compile(net, backend=backend))
    monkeypatch.setattr("convnets.training.options._check_compiler", lambda: None)
    for width in range(1, 11):  # PyTorch compiles a class for eight networks by default
        layers = nn.Sequential(nn.Linear(784, width), nn.Linear(width, 10))
        net, before = Watching(layers), len(compiled)
        fit(net, few, PLAIN, device="cpu", precision="no", progress=False, compile=True)
        assert len(compiled) > before


def test_cuda_graphs_are_refused_where_they_cannot_work(few):
    with pytest.raises(ValueError, match=r"need a GPU, and this run computes on cpu; omit"):
        fit(Watching(), few, PLAIN, device="cpu", progress=False, cuda_graphs=True)


def test_cuda_graphs_do_not_add_up_gradients():
    gpu = SimpleNamespace(device=torch.device("cuda"))
    with pytest.raises(ValueError, match="accumulation_steps=1"):
        _check_cuda_graphs(gpu, accumulation_steps=2)
    _check_cuda_graphs(gpu, accumulation_steps=1)


def test_the_processes_of_a_machine_share_its_cpus(monkeypatch):
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert cpus_of_this_process() == 8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert cpus_of_this_process() == 2
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "16")
    assert cpus_of_this_process() == 1


@pytest.mark.parametrize(("method", "expected"), [("fork", 8), ("spawn", 0)])
def test_files_are_read_by_workers_where_python_forks(method, expected, monkeypatch):
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr("multiprocessing.get_start_method", lambda: method)
    assert default_workers() == expected


class Unrepeatable(nn.Module):
    """A linear classifier whose forward or backward pass has no deterministic algorithm."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self.fc, self.norm, self.place = nn.Linear(784, 10), nn.BatchNorm1d(10), place

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.norm(self.fc(x.flatten(1)))
        if self.place == "forward":
            return scores.put(torch.tensor([0]), scores[0, :1], accumulate=False)
        return BackwardInAnyOrder.apply(scores)


class BackwardInAnyOrder(torch.autograd.Function):
    """Fails as adaptive pools above 1x1 do on a GPU in deterministic mode."""

    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        if torch.are_deterministic_algorithms_enabled():
            raise RuntimeError(
                "adaptive_avg_pool2d_backward_cuda does not have a deterministic implementation, "
                "but you set 'torch.use_deterministic_algorithms(True)'."
            )
        return gradient


@pytest.mark.parametrize(
    ("place", "operation"), [("forward", "put_"), ("backward", "adaptive_avg_pool2d_backward_cuda")]
)
def test_a_run_that_cannot_be_deterministic_is_refused(place, operation, few):
    net = Unrepeatable(place)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    options = {"device": "cpu", "progress": False}
    with pytest.raises(
        ValueError,
        match=rf"deterministic=True \(--deterministic\) cannot be honoured: PyTorch has no "
        f"deterministic algorithm on cpu for {operation}, which Unrepeatable uses; omit it",
    ):
        fit(net, few, PLAIN, deterministic=True, **options)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not torch.are_deterministic_algorithms_enabled()
    assert fit(net, few, PLAIN, **options).step_losses


def test_a_deterministic_run_equals_one_that_is_not_on_a_cpu(few):
    runs = [
        fit("lenet5", few, PLAIN, device="cpu", progress=False, deterministic=choice)
        for choice in (True, False)
    ]
    assert runs[0].step_losses == runs[1].step_losses
    assert runs[0].test_accuracy == runs[1].test_accuracy


def test_seeding_the_cpu_asks_no_other_device(monkeypatch):
    torch.manual_seed(5)
    expected = torch.rand(3)
    monkeypatch.setattr(torch, "manual_seed", None)
    seed_default_generator(torch.device("cpu"), 5)
    assert torch.equal(torch.rand(3), expected)


def test_a_step_does_not_search_for_packages(few, monkeypatch):
    """accelerate's optimizer does, which took 2 % of the time of a small network."""
    record = RunRecord(
        nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), PLAIN, "few", 0, "cpu", "no"
    )
    trainer = Trainer(record, few, make_accelerator("cpu", "no"))
    searched = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: searched.append(name))
    for images, labels in trainer.train_batches.epoch(1):
        trainer.train_step(images, labels)
    assert len(trainer.step_metrics) == 2
    assert searched == []
