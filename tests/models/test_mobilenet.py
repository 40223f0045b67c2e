import pytest
import torch
from torch import nn

import convnets
from convnets.analysis import trace
from convnets.analysis.trace import Trace
from convnets.models.mobilenet import MobileNet, Resize, depthwise_separable


def traced(**arguments: float) -> Trace:
    with torch.device("meta"):
        return trace(MobileNet(**arguments), 224)


# Table 6: width multiplier, millions of multiply-adds and of parameters.
@pytest.mark.parametrize(
    ("width", "macs", "parameters"),
    [(1.0, 569, 4.2), (0.75, 325, 2.6), (0.5, 149, 1.3), (0.25, 41, 0.5)],
)
def test_a_width_multiplier_costs_what_table_6_says(width, macs, parameters):
    measured = traced(width_multiplier=width)
    assert round(measured.macs / 1e6) == macs
    assert round(measured.parameters / 1e6, 1) == parameters


# Table 7: resolution, millions of multiply-adds; the parameters do not change.
@pytest.mark.parametrize(("side", "macs"), [(224, 569), (192, 418), (160, 290), (128, 186)])
def test_a_resolution_multiplier_costs_what_table_7_says(side, macs):
    measured = traced(resolution_multiplier=side / 224)
    assert measured.macs / 1e6 == pytest.approx(macs, abs=1)
    assert measured.parameters == convnets.card("mobilenet_v1").parameters


def test_a_resolution_multiplier_equals_the_same_network_on_a_smaller_image():
    small, full = MobileNet(0.25, 0.5).eval(), MobileNet(0.25).eval()
    full.load_state_dict(small.state_dict())
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(small(images), full(Resize(0.5)(images)))
    assert Resize(0.5)(images).shape == (2, 3, 32, 48)


def test_a_depthwise_separable_layer_costs_what_section_3_1_says():
    """With N output channels, 1 / N + 1 / 9 of the cost of a 3x3 convolution."""
    separable = depthwise_separable(64, 128, stride=1)
    whole = nn.Conv2d(64, 128, kernel_size=3, padding=1, bias=False)
    ratio = trace(separable, 14).macs / trace(whole, 14).macs
    assert ratio == pytest.approx(1 / 128 + 1 / 9)


def test_the_network_has_28_layers_as_in_section_3_2():
    with torch.device("meta"):
        modules = list(MobileNet().modules())
    assert sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in modules) == 28


@pytest.mark.parametrize("arguments", [{"width_multiplier": 0.01}, {"resolution_multiplier": 0}])
def test_a_multiplier_that_leaves_no_channel_or_pixel_is_refused(arguments):
    with pytest.raises(ValueError, match=r"width_multiplier must be at least 1/32"):
        MobileNet(**arguments)
