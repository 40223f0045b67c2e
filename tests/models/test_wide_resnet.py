import pytest
import torch
from pytorchcv.model_provider import get_model as get_pytorchcv_model
from torch import nn

import convnets
from convnets.models.preact import PreactBasicBlock, PreactResNet, small_preact_stem
from convnets.models.resnet import SMALL_WIDTHS, Bottleneck
from convnets.models.wide_resnet import wide_bottleneck, wide_resnet
from tests.conftest import traced
from tests.models.pytorchcv_weights import WIDE_RESNET


# Tables 5 and 8, in millions.
@pytest.mark.parametrize(
    ("name", "millions"), [("wide_resnet28_10", 36.5), ("wide_resnet50_2", 68.9)]
)
def test_networks_have_the_papers_parameters(name, millions):
    assert round(convnets.card(name).parameters / 1e6, 1) == millions


@pytest.mark.parametrize(("depth", "factor"), [(16, 4), (28, 10)])
def test_depth_counts_convolutions_including_those_of_the_shortcuts(depth, factor):
    with torch.device("meta"):
        net = convnets.create_model(f"wide_resnet{depth}_{factor}")
    assert sum(isinstance(module, nn.Conv2d) for module in net.modules()) == depth


def test_groups_have_the_sizes_of_table_1():
    rows = traced("wide_resnet28_10")
    shapes = [rows["features.stem.conv"].output]
    shapes += [rows[f"stage{stage}.3.residual.conv2"].output for stage in (1, 2, 3)]
    assert shapes == [(16, 32, 32), (160, 32, 32), (320, 16, 16), (640, 8, 8)]


def test_a_small_network_of_factor_1_equals_the_residual_network():
    wide = wide_resnet(22, factor=1)
    plain = PreactResNet(
        PreactBasicBlock, (3, 3, 3), SMALL_WIDTHS, small_preact_stem, num_classes=10
    )
    wide.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(wide.eval()(images), plain.eval()(images))


def test_a_bottleneck_of_factor_1_equals_resnets():
    wide, plain = wide_bottleneck(16, 32, 2, factor=1), Bottleneck(16, 32, 2)
    wide.load_state_dict(plain.state_dict())
    x = torch.randn(2, 16, 5, 7)
    assert torch.equal(wide(x), plain(x))


def test_a_wide_bottleneck_widens_only_its_3x3_convolution():
    block = wide_bottleneck(256, 256)
    shapes = [tuple(m.weight.shape[:2]) for m in block.modules() if isinstance(m, nn.Conv2d)]
    assert shapes == [(128, 256), (128, 128), (256, 128)]


@pytest.mark.parametrize(
    ("depth", "choices"), [(29, "28 or 34"), (4, "10 or 16"), (-1, "10 or 16")]
)
def test_an_impossible_depth_is_refused(depth, choices):
    with pytest.raises(ValueError, match=f"got {depth}; choose {choices}"):
        wide_resnet(depth, 4)


def test_an_impossible_factor_is_refused():
    with pytest.raises(ValueError, match="factor must be at least 1, got 0"):
        wide_resnet(16, 0)


@pytest.mark.slow
def test_wrn_16_10_equals_pytorchcvs():
    theirs = get_pytorchcv_model("wrn16_10_cifar10")
    theirs(torch.randn(4, 3, 32, 32))  # statistics that are not 0 and 1
    ours = wide_resnet(16, 10)
    rename = WIDE_RESNET(ours)
    ours.load_state_dict({rename(key): value for key, value in theirs.state_dict().items()})
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = theirs.eval()(images)
        torch.testing.assert_close(ours.eval()(images), expected, rtol=1e-5, atol=1e-5)
