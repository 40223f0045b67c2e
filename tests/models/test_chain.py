import pytest
import torch
from torch import nn

from convnets.layers import ACTIVATIONS
from convnets.models.chain import Chain


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_chain_has_as_many_convolutions_and_activations_as_its_depth(name):
    net = Chain(name, depth=6, width=4)
    kinds = [type(module) for module in net.features]
    assert kinds.count(nn.Conv2d) == 6
    assert kinds.count(type(ACTIVATIONS[name]())) == 6
    assert net(torch.randn(2, 1, 28, 28)).shape == (2, 10)


def test_two_strides_leave_a_quarter_of_the_side():
    assert Chain("ReLU", depth=10, width=4).features(torch.randn(1, 1, 28, 28)).shape[-1] == 7


def test_batch_norm_comes_between_convolution_and_activation():
    names = [
        name
        for name, _ in Chain("ReLU", depth=1, width=4, batch_norm=True).features.named_children()
    ]
    assert names == ["conv1", "norm1", "act1"]


@pytest.mark.parametrize("name", ["ReLU", "leaky ReLU", "PReLU", "SELU", "tanh"])
def test_the_initialisation_keeps_the_size_of_the_signal(name):
    net = Chain(name, depth=10, width=64)
    x = torch.randn(4, 1, 28, 28)
    stds = []
    for module in net.features:
        x = module(x)
        if isinstance(module, nn.Conv2d):
            stds.append(x.std().item())
    assert 0.1 < stds[-1] / stds[0] < 10


def test_an_unknown_activation_is_refused_with_the_known_names():
    with pytest.raises(ValueError, match="unknown activation 'relu'; choose one of sigmoid"):
        Chain("relu")


def test_an_empty_chain_is_refused():
    with pytest.raises(ValueError, match="at least one convolution, got 0"):
        Chain("ReLU", depth=0)
