import pytest
import torch
from torch import nn

import convnets
from tests.conftest import on_meta, traced

LAYERS = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool3")


@pytest.fixture(params=["zfnet", "zfnet_paper"])
def net(request) -> nn.Module:
    return on_meta(request.param)


@pytest.mark.parametrize("name", ["zfnet", "zfnet_paper"])
def test_feature_maps_have_the_sizes_of_figure_3(name):
    rows = traced(name)
    assert [rows[name].output[-1] for name in LAYERS] == [110, 55, 26, 13, 13, 13, 13, 6]


def test_the_first_convolution_is_7x7_with_stride_2(net):
    assert (net.features.conv1.kernel_size, net.features.conv1.stride) == ((7, 7), (2, 2))


def test_no_convolution_is_grouped(net):
    assert all(module.groups == 1 for module in net.modules() if isinstance(module, nn.Conv2d))


@pytest.mark.parametrize(
    ("name", "widths"), [("zfnet", [512, 1024, 512]), ("zfnet_paper", [384, 384, 256])]
)
def test_only_the_last_three_convolutions_differ_in_width(name, widths):
    with torch.device("meta"):
        features = convnets.create_model(name).features
    convolutions = [module for module in features if isinstance(module, nn.Conv2d)]
    assert [convolution.out_channels for convolution in convolutions] == [96, 256, *widths]


def test_it_pools_before_it_normalises_unlike_alexnet():
    with torch.device("meta"):
        zfnet, alexnet = (
            [*convnets.create_model(name).features._modules] for name in ("zfnet_paper", "alexnet")
        )
    assert zfnet[:4] == ["conv1", "relu1", "pool1", "norm1"]
    assert alexnet[:4] == ["conv1", "relu1", "norm1", "pool1"]


def test_all_biases_start_at_zero():
    net = convnets.create_model("zfnet_paper")
    biases = [parameter for key, parameter in net.named_parameters() if key.endswith("bias")]
    assert len(biases) == 8
    assert not any(bias.any() for bias in biases)
    assert net.features.conv3.weight.std().item() == pytest.approx(0.01, rel=0.02)
