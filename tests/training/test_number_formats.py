"""In bfloat16, what is kept is float32 and finite: weights, gradients, averages and losses."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import convnets
from convnets.analysis import effective_receptive_field, grad_cam
from convnets.training import RunRecord, load
from convnets.training.engine import make_accelerator
from convnets.training.trainer import Trainer
from tests.training.test_meta_step import all_parts


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [("resnet20", "rmsprop"), ("googlenet_bn", "nesterov"), ("densenet40_12", "nesterov")],
)
def test_a_step_in_bfloat16_keeps_float32(name, optimizer):
    data = load()
    few = replace(data, train=data.train.subset(torch.arange(12)))
    net = convnets.create_model(name, 10, 1, small_input=True)
    recipe = replace(all_parts(net), batch_size=4, optimizer=optimizer)
    record = RunRecord(net, recipe, data.name, 0, "cpu", "bf16")
    trainer = Trainer(record, few, make_accelerator("cpu", "bf16"))
    seen: set[torch.dtype] = set()
    for module in trainer.model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda module, inputs, out: seen.add(out.dtype))
    trainer.model.train()
    for _, (images, labels) in zip(range(2), trainer.train_batches.epoch(1), strict=False):
        trainer.train_step(images, labels)
    assert torch.bfloat16 in seen
    state = [value for row in trainer.optimizer.state.values() for value in row.values()]
    kept = [*trainer.learner.state_dict().values(), *trainer.ema.state_dict().values(), *state]
    floats = [tensor for tensor in kept if tensor.is_floating_point()] + trainer.step_metrics
    assert {tensor.dtype for tensor in floats} == {torch.float32}
    assert all(tensor.isfinite().all() for tensor in floats)


def test_analyses_take_a_network_in_bfloat16():
    net = convnets.create_model("resnet20").eval()
    images = torch.rand(2, 3, 32, 32)
    expected, field = grad_cam(net, images), effective_receptive_field(net, images=images)
    half = net.bfloat16()
    maps = grad_cam(half, images.bfloat16()).float()
    assert (maps - expected).abs().mean() < 0.05
    again = effective_receptive_field(half, images=images.bfloat16())
    assert again.energy.dtype == torch.float64
    assert abs(again.size - field.size) <= 2
