import pytest
import torch
from torch import nn

from convnets.layers import SqueezeExcite


def test_an_open_gate_returns_its_input():
    layer = SqueezeExcite(8, 2)
    nn.init.zeros_(layer.expand.weight)
    nn.init.constant_(layer.expand.bias, 100.0)  # sigmoid(100) is 1
    x = torch.randn(2, 8, 5, 3)
    assert torch.equal(layer(x), x)


def test_all_pixels_of_a_channel_are_scaled_by_the_same_factor_below_one():
    x = torch.rand(2, 8, 5, 3) + 1
    factors = SqueezeExcite(8, 2)(x) / x
    torch.testing.assert_close(factors, factors[:, :, :1, :1].expand_as(factors))
    assert ((factors > 0) & (factors < 1)).all()


def test_it_has_the_parameters_of_two_fully_connected_layers():
    layer = SqueezeExcite(64, 4)
    assert sum(p.numel() for p in layer.parameters()) == 2 * 64 * 4 + 4 + 64


def test_a_reduction_to_no_channel_is_refused():
    with pytest.raises(ValueError, match="squeeze_channels must be at least 1, got 0"):
        SqueezeExcite(8, 8 // 16)
