import pytest
import torch
from torch import nn

import convnets
from convnets.models.inception import Concatenation, Conv, max_pool
from convnets.models.inception_resnet import ScaledResidual
from tests.conftest import traced

# Figure 9 and figure 15, the latter with the released network's channels.
SIZES = {
    "inception_v4": {
        "conv1": (32, 149, 149),
        "conv2": (32, 147, 147),
        "conv3": (64, 147, 147),
        "stem1": (160, 73, 73),
        "stem2": (192, 71, 71),
        "stem3": (384, 35, 35),
        "inception_a": (384, 35, 35),
        "reduction_a": (1024, 17, 17),
        "inception_b": (1024, 17, 17),
        "reduction_b": (1536, 8, 8),
        "inception_c": (1536, 8, 8),
    },
    "inception_resnet_v2": {
        "mixed": (320, 35, 35),
        "block_35": (320, 35, 35),
        "reduction_a": (1088, 17, 17),
        "block_17": (1088, 17, 17),
        "reduction_b": (2080, 8, 8),
        "block_8": (2080, 8, 8),
        "conv6": (1536, 8, 8),
    },
}


@pytest.mark.parametrize("name", SIZES)
def test_feature_maps_have_the_sizes_of_the_figures(name):
    with torch.device("meta"):
        x, net = torch.empty(1, 3, 299, 299), convnets.create_model(name)
    sizes = {}
    for key, layer in net.features.named_children():
        x = layer(x)
        sizes[key] = tuple(x.shape[1:])
    assert {key: sizes[key] for key in SIZES[name]} == SIZES[name]


def test_a_pair_of_1x7_and_7x1_has_two_sevenths_of_the_weights_of_7x7():
    square = Conv(64, 7)(64)[0].conv.weight.numel()
    pair = sum(Conv(64, kernel)(64)[0].conv.weight.numel() for kernel in ((1, 7), (7, 1)))
    assert pair * 7 == square * 2


def test_branches_are_concatenated_in_their_order():
    layer = Concatenation(3, ((Conv(4, 3, 2, padded=False),), (max_pool,)))
    x = torch.rand(2, 3, 9, 11)
    y = layer.eval()(x)
    assert y.shape == (2, layer.out_channels, 4, 5)
    assert torch.equal(y[:, 4:], nn.functional.max_pool2d(x, 3, 2))


def test_a_branch_can_contain_branches():
    split = ((Conv(2, (1, 3)),), (Conv(5, (3, 1)),))
    layer = Concatenation(3, ((Conv(4, 1), split), (Conv(6, 1),)))
    assert layer.out_channels == 13
    assert layer(torch.randn(2, 3, 5, 7)).shape == (2, 13, 5, 7)


def test_padding_does_not_count_in_an_average():
    with torch.device("meta"):
        net = convnets.create_model("inception_v4")
    pool = net.features.inception_a[0].branches[3][0]
    assert torch.equal(pool(torch.ones(1, 1, 5, 5)), torch.ones(1, 1, 5, 5))


def test_a_residual_module_adds_its_scaled_branches():
    module = ScaledResidual(6, ((Conv(2, 1),), (Conv(3, 3),)), scale=0.17, relu=False).eval()
    x = torch.randn(2, 6, 5, 5)
    expected = x + 0.17 * module.project(module.residual(x))
    torch.testing.assert_close(module(x), expected)
    nn.init.zeros_(module.project.weight)
    nn.init.zeros_(module.project.bias)
    assert torch.equal(module(x), x)


def test_scales_and_relus_are_those_of_the_released_network():
    with torch.device("meta"):
        features = convnets.create_model("inception_resnet_v2").features
    found = [
        (len(stage), {(block.scale, isinstance(block.relu, nn.ReLU)) for block in stage})
        for stage in (features.block_35, features.block_17, features.block_8)
    ]
    assert found == [(10, {(0.17, True)}), (20, {(0.10, True)}), (9, {(0.20, True)})]
    last = features.block_8_last
    assert (last.scale, isinstance(last.relu, nn.ReLU)) == (1.0, False)


def test_inception_v4_repeats_its_modules_4_7_and_3_times():
    with torch.device("meta"):
        features = convnets.create_model("inception_v4").features
    assert [len(features.get_submodule(f"inception_{kind}")) for kind in "abc"] == [4, 7, 3]


@pytest.mark.parametrize("name", SIZES)
def test_trace_prints_every_branch(name):
    rows = traced(name)
    assert rows["reduction_a.branches.0.0.conv"].stride == (2, 2)
