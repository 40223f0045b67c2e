import pytest
import torch
from torch import nn

import convnets
from convnets.analysis import dead_units


def net_with_biases(*biases: float) -> nn.Sequential:
    conv = nn.Conv2d(1, len(biases), 1)
    nn.init.zeros_(conv.weight)
    conv.bias.data = torch.tensor(biases)
    return nn.Sequential(conv, nn.ReLU())


def test_a_map_is_dead_if_its_input_is_never_positive():
    (row,) = dead_units(net_with_biases(-1.0, 0.0, 1.0, 2.0), torch.randn(3, 1, 4, 4))
    assert row.name == "1"
    assert row.dead == 0.5
    assert row.inactive == 0.5


def test_a_map_that_is_positive_once_is_not_dead():
    net = nn.Sequential(nn.ReLU())
    images = -torch.ones(2, 1, 2, 2)
    images[1, 0, 1, 1] = 1
    (row,) = dead_units(net, images)
    assert row.dead == 0
    assert row.inactive == pytest.approx(7 / 8)


def test_features_after_a_flatten_count_as_units():
    net = nn.Sequential(nn.Flatten(), nn.ELU())
    (row,) = dead_units(net, torch.tensor([[[[1.0, -1.0]]], [[[-1.0, -1.0]]]]))
    assert row.dead == 0.5


def test_an_in_place_activation_is_measured_before_it_overwrites_its_input():
    (row,) = dead_units(nn.ReLU(inplace=True), torch.tensor([[[[-1.0, 1.0]]]]))
    assert (row.dead, row.inactive) == (0, 0.5)


@pytest.mark.parametrize(
    ("name", "activations"),
    [("lenet5", 6), ("mobilenet_v2", 35), ("se_resnet18", 33), ("efficientnet_b0", 49)],
)
def test_activations_of_every_kind_count_and_gates_do_not(name, activations):
    """MobileNetV2: stem, 17 blocks with two ReLU6 (one in the first), last convolution.

    SE-ResNet-18: stem, 8 blocks with three ReLUs and one inside the squeeze-and-excitation.
    EfficientNet-B0: stem, 16 blocks with two SiLUs (one in the first) and one inside the
    squeeze-and-excitation, last convolution.
    """
    net = convnets.create_model(name)
    rows = dead_units(net, torch.randn(2, net.in_channels, 32, 32))
    assert len(rows) == activations
    assert not any(row.name.endswith("gate.gate") for row in rows)


def test_a_network_without_activations_is_refused():
    with pytest.raises(ValueError, match="calls no activation function"):
        dead_units(nn.Conv2d(1, 1, 1), torch.randn(1, 1, 2, 2))


def test_no_hook_remains():
    net = net_with_biases(1.0)
    dead_units(net, torch.randn(1, 1, 2, 2))
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in net.modules())
