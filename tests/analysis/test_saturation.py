import pytest
import torch
from torch import nn

import convnets
from convnets.analysis import saturation
from convnets.models.chain import Chain
from convnets.training import data


def image(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, -1)


def test_outputs_near_each_bound_are_counted():
    (row,) = saturation(nn.Sequential(nn.Sigmoid()), image(-10, -1, 0, 1, 10, 20), margin=0.05)
    assert row.name == "0"
    assert row.low == pytest.approx(1 / 6)
    assert row.high == pytest.approx(2 / 6)
    assert row.share == pytest.approx(3 / 6)


@pytest.mark.parametrize(
    ("activation", "values", "low", "high"),
    [
        (nn.Tanh(), (-1.4, -1.5, 1.4, 1.5), 1 / 4, 1 / 4),  # tanh(1.472) is 0.9
        (nn.ReLU6(), (-1, 3, 5.8, 7), 1 / 4, 2 / 4),
        (nn.Hardtanh(-2, 2), (-2, -1.9, 0, 1.7), 2 / 4, 0),
        (nn.Hardsigmoid(), (-3, 0, 1, 3), 1 / 4, 1 / 4),
        (nn.Softsign(), (-20, 1, 2, 3), 1 / 4, 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_the_margin_is_a_share_of_the_range_of_each_activation(activation, values, low, high):
    (row,) = saturation(activation, image(*values), margin=0.05)
    assert (row.low, row.high) == (low, high)


def test_larger_weights_saturate_lenet():
    images = data.load().test.images[:16] / 255
    net = convnets.create_model("lenet5")
    padded = nn.functional.pad(images, (2, 2, 2, 2))
    before = saturation(net, padded)
    assert [row.name for row in before][:2] == ["features.squash1", "features.squash2"]
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(10)
    after = saturation(net, padded)
    assert all(b.share < a.share for b, a in zip(before, after, strict=True))


def test_gates_of_squeeze_and_excitation_count():
    net = convnets.create_model("se_resnet18", num_classes=10)
    rows = saturation(net, torch.randn(2, 3, 32, 32))
    assert len(rows) == 8
    assert all(row.name.endswith("gate.gate") for row in rows)


def test_a_custom_activation_counts_with_the_given_bounds():
    class Clip(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.clamp(0, 10)

    (row,) = saturation(Clip(), image(-1, 5, 9.8), bounds={Clip: (0, 10)})
    assert (row.low, row.high) == (pytest.approx(1 / 3), pytest.approx(1 / 3))


def test_a_call_inside_a_custom_activation_does_not_count_twice():
    class Scaled(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 10 * torch.tanh(x)

    (row,) = saturation(nn.Sequential(Scaled()), image(-9, 0, 9, 9), bounds={Scaled: (-10, 10)})
    assert (row.name, row.low, row.high) == ("0", 1 / 4, 2 / 4)


def test_a_relu_network_is_refused():
    with pytest.raises(ValueError, match="dead_units"):
        saturation(Chain("ReLU", depth=2, width=4), torch.randn(1, 1, 8, 8))


@pytest.mark.parametrize("margin", [0, 0.5, -1])
def test_an_impossible_margin_is_refused(margin):
    with pytest.raises(ValueError, match="margin"):
        saturation(nn.Sigmoid(), image(0.0), margin=margin)
