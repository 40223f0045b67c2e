import pytest
import torch
from torch import nn

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


def test_features_behind_a_flatten_count_as_units():
    net = nn.Sequential(nn.Flatten(), nn.ELU())
    (row,) = dead_units(net, torch.tensor([[[[1.0, -1.0]]], [[[-1.0, -1.0]]]]))
    assert row.dead == 0.5


def test_a_network_without_activation_modules_is_refused():
    with pytest.raises(ValueError, match=r"nn\.ReLU\(\)"):
        dead_units(nn.Conv2d(1, 1, 1), torch.randn(1, 1, 2, 2))


def test_no_hook_is_left_behind():
    net = net_with_biases(1.0)
    dead_units(net, torch.randn(1, 1, 2, 2))
    assert not net[1]._forward_pre_hooks
