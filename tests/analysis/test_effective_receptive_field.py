import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, weight_norm

import convnets
from convnets.analysis import (
    effective_receptive_field,
    numerical_receptive_field,
    receptive_field,
)


def conv(kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(1, 1, kernel_size, stride, padding, dilation)


@pytest.mark.parametrize(
    "chain",
    [
        nn.Sequential(conv(3), conv(3), conv(3)),
        nn.Sequential(conv(5, stride=2, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2), conv(3)),
        nn.Sequential(nn.Sequential(conv(3, dilation=2), nn.BatchNorm2d(1)), nn.AvgPool2d(2)),
        nn.Sequential(conv(7, stride=3), conv(1, stride=2), conv(3, padding=1)),
    ],
    ids=["plain", "strides and pool", "nested, dilated", "1x1 with stride"],
)
def test_the_derivative_agrees_on_chains(chain):
    assert numerical_receptive_field(chain, input_size=101) == receptive_field(chain).size


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        *(("resnet20", None), ("plain20", None), ("preact_resnet18", "features.stage2")),
        *(("googlenet", "inception3b"), ("googlenet_bn", "inception3a.branch5x5")),
        *(("densenet121", "features.block1"), ("mobilenet_v2", "stage3")),
        *(("shufflenet_v1_g3", "stage2"), ("shufflenet_v2_x0_5", "stage2")),
        *(("inception_v4", "features.stem3"), ("resnet50_v1", "features.stage2")),
        ("alexnet", "conv3"),
    ],
)
def test_the_derivative_agrees_on_networks_with_branches(name, layer):
    with torch.device("meta"):
        net = convnets.create_model(name)
    formula = receptive_field(net, layer).size
    assert numerical_receptive_field(net, layer, formula + 64) == formula


@pytest.mark.parametrize("name", ["lenet5", "mobilenet_v2", "mobilenet_v1"])
def test_the_derivative_agrees_where_activations_saturate(name):
    with torch.device("meta"):
        net = convnets.create_model(name)
    formula = receptive_field(net, "features").size
    assert numerical_receptive_field(net, "features", formula + 64) == formula


@pytest.mark.parametrize("norm", [weight_norm, parametrizations.weight_norm])
@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated")
def test_the_derivative_agrees_where_weights_are_computed(norm):
    net = nn.Sequential(norm(conv(5, stride=2)), nn.ReLU(), norm(conv(3)))
    assert numerical_receptive_field(net, input_size=41) == receptive_field(net).size == 9


class TwoMaps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv3, self.conv5 = conv(3), conv(5, padding=1)

    def forward(self, x):
        return self.conv3(x), {"larger": self.conv5(x)}


class Second(nn.Module):
    def forward(self, maps):
        return maps[1]["larger"]


@pytest.mark.parametrize("field", [receptive_field, numerical_receptive_field])
def test_of_several_maps_the_first_counts_as_in_a_trace(field):
    net = nn.Sequential(TwoMaps(), Second())
    assert field(net, "0", 15) == field(net, "0.conv3", 15)
    assert field(net, "1", 15) == field(net, "0.conv5", 15)
    energy = effective_receptive_field(net, "0", 15).energy
    assert torch.equal(energy, effective_receptive_field(net, "0.conv3", 15).energy)


def test_a_layer_that_returns_no_map_is_refused():
    net = nn.Sequential(conv(3), nn.Flatten(), nn.Softmax(1))
    net[2].forward = lambda x: x.shape
    for field in (receptive_field, numerical_receptive_field, effective_receptive_field):
        with pytest.raises(ValueError, match="'2' returns no map that depends on the image"):
            field(net, "2", 15)


def test_a_constant_without_numbers_is_refused():
    with torch.device("meta"):
        net = nn.Sequential(conv(3), nn.BatchNorm2d(1))
    assert numerical_receptive_field(net, input_size=15) == 3
    with torch.device("meta"):
        net.register_buffer("grid", torch.ones(1))
    with pytest.raises(ValueError, match="buffer 'grid' has no values"):
        numerical_receptive_field(net, input_size=15)


class Functional(nn.Module):
    """A convolution of 3x3 with stride 2 after which a function runs."""

    def __init__(self, function) -> None:
        super().__init__()
        self.conv, self.function, self.last = nn.Conv2d(2, 4, 3, 2), function, nn.Identity()

    def forward(self, x):
        return self.last(self.function(self.conv(x)))


@pytest.mark.parametrize(
    ("function", "size"),
    [
        (nn.MaxPool2d(3, 2, dilation=2), 3 + 2 * 4),
        (lambda x: functional.max_pool2d(x, 3, 1, dilation=3), 3 + 2 * 6),
        (lambda x: functional.max_pool2d(x, 3, 2, 1, ceil_mode=True), 3 + 2 * 2),
        (lambda x: functional.max_pool2d_with_indices(x, (3, 3), (1, 1))[0], 3 + 2 * 2),
        (lambda x: functional.max_pool2d(functional.max_pool2d(x, 2), 2), 3 + 2 * 3),
        (lambda x: torch.clamp(x, 0, 6), 3),
        (lambda x: torch.clamp(x, -1, 1), 3),
        (functional.hardtanh, 3),
        (lambda x: functional.hardshrink(x, 2), 3),
        (lambda x: functional.softshrink(x, 2), 3),
        (lambda x: functional.threshold(x, 5, 0), 3),
        (lambda x: functional.hardsigmoid(100 * x), 3),
        (lambda x: torch.sigmoid(1e9 * x), 3),
        (lambda x: functional.layer_norm(x.movedim(1, 3), (4,)).movedim(3, 1), 3),
        (lambda x: functional.local_response_norm(x, 3), 3),
        (lambda x: functional.avg_pool2d(x.movedim(1, 3).movedim(3, 1), 2), 3 + 2),
    ],
)
def test_the_derivative_agrees_for_functions(function, size):
    net = Functional(function)
    assert receptive_field(net, "last", 41).size == size
    assert numerical_receptive_field(net, "last", 41) == size


def test_the_derivative_finds_channels_that_come_last():
    net = Functional(lambda x: x.permute(0, 2, 3, 1))
    assert numerical_receptive_field(net, "last", 15) == receptive_field(net, "last", 15).size == 3


def test_the_effective_field_is_never_larger_than_the_theoretical_one():
    for kernel_size in (1, 2, 3, 4, 6):
        net = nn.Sequential(conv(kernel_size))
        nn.init.constant_(net[0].weight, 1)
        assert effective_receptive_field(net, input_size=15).size == kernel_size
    skewed = nn.Sequential(conv(6))
    nn.init.constant_(skewed[0].weight, 0.4)
    with torch.no_grad():
        skewed[0].weight[..., 0, 0] = 1
    assert effective_receptive_field(skewed, input_size=15).size == 6


@pytest.mark.parametrize("outside", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("inside", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_fields_are_the_same_where_gradients_are_off(outside, inside):
    with outside():
        net = nn.Sequential(conv(3), nn.ReLU(), conv(3))
        images = torch.randn(2, 1, 15, 15)
    expected = effective_receptive_field(net, images=images.clone()).energy
    with inside():
        assert torch.equal(effective_receptive_field(net, images=images).energy, expected)
        assert numerical_receptive_field(net, input_size=15) == 5
        assert receptive_field(net, input_size=15).size == 5


def test_differentiating_leaves_the_network_unchanged():
    net = nn.Sequential(conv(3), conv(3))
    before = net[0].weight.clone()
    numerical_receptive_field(net, input_size=31)
    effective_receptive_field(net, input_size=31)
    assert torch.equal(net[0].weight, before)
    assert net[0].weight.grad is None
    assert net.training


def test_a_field_that_may_be_cut_off_is_refused():
    with pytest.raises(ValueError, match="use a larger input"):
        numerical_receptive_field(nn.Sequential(conv(7, padding=3)), input_size=7)


def test_a_stack_of_averages_spreads_like_the_binomial_distribution():
    """Luo et al. (2016), section 2: the field grows with the square root of the depth."""
    net = nn.Sequential(*(conv(3) for _ in range(16)))
    for layer in net:
        nn.init.constant_(layer.weight, 1 / 9)
        nn.init.zeros_(layer.bias)
    field = effective_receptive_field(net, input_size=65)
    deviation = (16 * 2 / 3 / 2) ** 0.5  # squaring a normal density halves its variance
    rows = torch.arange(65) - 32.0
    measured = (field.energy.sum(1) * rows.square()).sum().sqrt().item()
    assert measured == pytest.approx(deviation, rel=0.02)
    assert field.energy.sum().item() == pytest.approx(1)
    assert 9 <= field.size < receptive_field(net, input_size=65).size == 33


def test_a_random_networks_effective_field_is_smaller_than_its_theoretical_one():
    net = convnets.create_model("resnet20", 10, 1)
    field = effective_receptive_field(net, input_size=96)
    assert field.energy.shape == (96, 96)
    assert 1 < field.size < receptive_field(net).size


def test_a_network_without_gradients_is_refused():
    net = nn.Sequential(conv(3), nn.ReLU())
    nn.init.constant_(net[0].bias, -1e6)
    with pytest.raises(ValueError, match="no pixel has an influence"):
        effective_receptive_field(net, input_size=9)


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="no images"):
        effective_receptive_field(conv(3), input_size=9, images=torch.empty(0, 1, 9, 9))


def test_the_input_size_is_the_networks_own_by_default():
    net = convnets.create_model("resnet20")
    assert effective_receptive_field(net).energy.shape == (32, 32)
    assert numerical_receptive_field(net, "features.stem") == 3
