import pytest
import torch
from torch import nn

from convnets.analysis import gradient_norms
from convnets.models.chain import Chain


def test_each_weighted_layer_has_the_root_mean_square_of_its_gradient():
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    images, labels = torch.randn(5, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1])
    norms = gradient_norms(net, images, labels)
    nn.functional.cross_entropy(net(images), labels).backward()
    assert norms == {"1": pytest.approx(net[1].weight.grad.square().mean().sqrt().item())}


def test_the_gradient_vanishes_with_sigmoid_and_not_with_relu():
    images, labels = torch.randn(8, 1, 28, 28), torch.arange(8)
    ratios = {}
    for name in ("sigmoid", "ReLU"):
        norms = list(gradient_norms(Chain(name, width=8), images, labels).values())
        ratios[name] = norms[0] / norms[-1]
    assert ratios["sigmoid"] < 1e-4
    assert ratios["ReLU"] > 1e-2


def test_the_gradients_of_the_parameters_are_not_touched():
    net = Chain("ReLU", depth=2, width=4).train()
    gradient_norms(net, torch.randn(2, 1, 8, 8), torch.tensor([0, 1]))
    assert all(parameter.grad is None for parameter in net.parameters())
    assert net.training


def test_a_network_without_weighted_layers_is_refused():
    with pytest.raises(ValueError, match="neither convolutions"):
        gradient_norms(nn.Flatten(), torch.randn(2, 1, 1, 2), torch.tensor([0, 1]))


def test_labels_of_another_length_are_refused():
    net = Chain("ReLU", depth=1, width=2)
    with pytest.raises(ValueError, match="one class number for each image"):
        gradient_norms(net, torch.randn(2, 1, 8, 8), torch.tensor([0]))
