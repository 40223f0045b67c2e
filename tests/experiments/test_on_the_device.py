"""Every network of every experiment trains without leaving the device."""

from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import cross_entropy

from convnets.experiments import EXPERIMENTS, Budget, Experiment
from convnets.experiments.core import images_of
from convnets.experiments.running import run_arm
from convnets.training.data import Dataset

pytestmark = pytest.mark.slow
ARMS = [(entry, arm) for entry in EXPERIMENTS.values() for arm in entry.arms]
every_arm = pytest.mark.parametrize(
    ("entry", "arm"),
    [
        pytest.param(entry, arm, marks=() if arm is entry.arms[-1] else pytest.mark.sweep)
        for entry, arm in ARMS
    ],
    ids=[f"{entry.name}, {arm.name}" for entry, arm in ARMS],
)
"""`make test` takes the last arm of each experiment, which is seldom a registered network."""
GPU = torch.device("cuda:0")


def of_gpu(entry: Experiment) -> Budget:
    """The networks of the GPU budget, one step in each of two epochs."""
    recipe = replace(entry.gpu.recipe, batch_size=16)
    small = {"data": "fashion-mnist-small", "images": 20, "epochs": 2, "children": 1}
    return replace(entry.gpu, recipe=recipe, **small)


@pytest.fixture(scope="module")
def few() -> Dataset:
    data = images_of(of_gpu(next(iter(EXPERIMENTS.values()))))
    return replace(data, test=data.test.subset(torch.arange(10)))


@every_arm
def test_an_arm_trains_on_the_device_alone(entry, arm, few, refusing_trainer):
    run = run_arm(arm, few, of_gpu(entry), seed=0)
    assert run.losses
    assert run.test_accuracy == 1.0  # from `to_cpu`, which has no numbers to read


@every_arm
def test_an_arm_runs_on_a_gpu_that_is_only_pretended(entry, arm):
    budget = of_gpu(entry)
    arm.build(budget)  # searches for equal costs, on the CPU
    with FakeTensorMode(), GPU:
        net = arm.build(budget).train()
        loss = cross_entropy(net(torch.empty(4, 1, 28, 28)), torch.zeros(4, dtype=torch.long))
    assert loss.device == GPU
