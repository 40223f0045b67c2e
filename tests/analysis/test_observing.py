"""A network that is looked at stays as it was: weights, statistics, modes, gradients, hooks; and
so do the random numbers."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

import convnets
from convnets import analysis
from convnets.analysis.observing import evaluating, observe

IMAGES = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(4)
LOOKS: dict[str, Callable[[nn.Module], object]] = {
    "trace": lambda net: analysis.trace(net, 64),
    "receptive_field": lambda net: analysis.receptive_field(net, input_size=64),
    "effective_receptive_field": lambda net: analysis.effective_receptive_field(
        net, "features.stage2", 64
    ),
    "gradient_norms": lambda net: analysis.gradient_norms(net, IMAGES, LABELS),
    "dead_units": lambda net: analysis.dead_units(net, IMAGES),
    "activation_statistics": lambda net: analysis.activation_statistics(net, IMAGES),
    "saturation": lambda net: analysis.saturation(net, IMAGES),
    "residual_responses": lambda net: analysis.residual_responses(net, IMAGES),
    "excitations": lambda net: analysis.excitations(net, IMAGES, LABELS),
    "loss_along_direction": lambda net: analysis.loss_along_direction(
        net, IMAGES, LABELS, (0.0, 1.0)
    ),
    "loss_surface": lambda net: analysis.loss_surface(net, IMAGES, LABELS, (0.0, 1.0)),
    "cka": lambda net: analysis.cka(net, IMAGES, ["features.stage1", "classifier"]),
    "grad_cam": lambda net: analysis.grad_cam(net, IMAGES),
    "signal_propagation": lambda net: analysis.signal_propagation(2, 4, "ReLU", "LeCun"),
}


@pytest.fixture(scope="module")
def net() -> nn.Module:
    """Batch norm and gates, stochastic depth and dropout, some parts frozen in evaluation mode."""
    net = convnets.create_model("efficientnet_b0", num_classes=10).train()
    net.features.stage1.eval()
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    return net


@pytest.mark.parametrize("name", LOOKS)
def test_looking_leaves_no_trace(net, name):
    state = copy.deepcopy(net.state_dict())
    modes = [module.training for module in net.modules()]
    random = torch.get_rng_state()
    LOOKS[name](net)
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
    assert [module.training for module in net.modules()] == modes
    assert all((p.grad == 1).all() and p.requires_grad for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_feature_reuse_only_reads():
    net = convnets.create_model("densenet40_12")
    state = copy.deepcopy(net.state_dict())
    analysis.feature_reuse(net, 1).zero_()
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())


def test_a_failure_leaves_no_trace_either():
    def fail(name: str, output: torch.Tensor) -> None:
        raise RuntimeError("on purpose")

    net = nn.Sequential(nn.Dropout()).train()
    with pytest.raises(RuntimeError, match="on purpose"):
        observe(net, torch.ones(1, 1, 1, 1), {"0": net[0]}, fail, evaluate=True)
    assert net.training
    assert not net[0]._forward_hooks


def test_each_module_gets_its_own_mode_back():
    net = nn.Sequential(nn.Dropout(), nn.Dropout().eval())
    net.training = True
    with evaluating(net):
        assert not net[0].training
    assert (net.training, net[0].training, net[1].training) == (True, True, False)
