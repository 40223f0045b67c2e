"""Grad-CAM and effective fields leave nothing on the CPU and read numbers in one place only."""

from contextlib import nullcontext

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import convnets
from convnets.analysis import effective_receptive_field, grad_cam
from convnets.analysis.observing import observe
from tests.conftest import lightest_of_each_family, on_meta
from tests.meta_device import META, CrossingError, crossings_refused

NAMES = [name for name in lightest_of_each_family() if name != "lenet5"]  # its maps end at 1x1
FAMILIES = pytest.mark.parametrize("name", NAMES)
GPU = torch.device("cuda:0")


def batch_for(net, device=META) -> torch.Tensor:
    return torch.empty(2, net.in_channels, net.input_size, net.input_size, device=device)


@FAMILIES
def test_grad_cam_stays_on_the_device(name, meta_machine):
    net = on_meta(name)
    with crossings_refused():
        maps = grad_cam(net, batch_for(net), torch.empty(2, dtype=torch.long, device=META))
    assert maps.is_meta
    assert maps.shape == (2, net.input_size, net.input_size)


def test_grad_cam_explains_the_predicted_classes_without_reading_them(monkeypatch, meta_machine):
    monkeypatch.setattr("convnets.transfer.to_cpu", None)
    net = on_meta("resnet20")
    with crossings_refused():
        assert grad_cam(net, batch_for(net)).is_meta


@pytest.mark.parametrize("given", [True, False])
def test_an_effective_field_stays_on_the_device(given, meta_machine):
    net = on_meta("resnet20")
    with crossings_refused():
        field = effective_receptive_field(
            net, "features.stage1", images=batch_for(net) if given else None
        )
    assert field.energy.is_meta
    assert field.size > 0


def test_a_layer_that_leaves_the_device_is_found(meta_machine):
    net = on_meta("resnet20")
    net.features.stage1.register_forward_hook(lambda module, inputs, output: output + torch.ones(1))
    with crossings_refused(), pytest.raises((CrossingError, RuntimeError)):
        grad_cam(net, batch_for(net))


@FAMILIES
def test_the_forward_parts_run_on_a_gpu_that_is_only_pretended(name, monkeypatch):
    # The backward pass and the generators of CUDA ask for a driver.
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices=None: nullcontext())
    monkeypatch.setattr(torch.autograd, "grad", lambda outputs, inputs: (torch.zeros_like(inputs),))
    with FakeTensorMode(), GPU:
        net = convnets.create_model(name)
        images = batch_for(net, GPU)
        maps = grad_cam(net, images)
        outputs: list[torch.Tensor] = []
        observe(net, images, {"features": net.features}, lambda name, out: outputs.append(out))
    assert maps.device == outputs[0].device == GPU
