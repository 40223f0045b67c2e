from functools import partial

import pytest
import torch
from pytorchcv.model_provider import get_model as get_pytorchcv_model
from torch import nn

import convnets
from convnets.layers import small_stem
from convnets.models.resnet import Bottleneck, ResNet
from convnets.models.resnext import (
    SMALL_DEPTHS,
    SMALL_WIDTHS,
    EarlyConcatenation,
    ResNeXtBlock,
    SplitTransformMerge,
    copy_weights,
)
from tests.models.pytorchcv_weights import RESNET

FORMS = (EarlyConcatenation, SplitTransformMerge)


def randomise_statistics(block: nn.Module) -> None:
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)


# Table 1 and table 7, "params" in millions.
@pytest.mark.parametrize(
    ("name", "millions"), [("resnext50_32x4d", 25.0), ("resnext29_8x64d", 34.4)]
)
def test_networks_have_the_papers_parameters(name, millions):
    assert round(convnets.card(name).parameters / 1e6, 1) == millions


def test_resnext_50_costs_what_table_1_says():
    assert round(convnets.card("resnext50_32x4d").macs / 1e9, 1) == 4.2


# Table 2: cardinality, width of a path, width of the grouped convolution, for blocks of 256.
@pytest.mark.parametrize(
    ("cardinality", "base_width", "mid_channels"),
    [(1, 64, 64), (2, 40, 80), (4, 24, 96), (8, 14, 112), (32, 4, 128)],
)
def test_widths_of_equal_cost_are_those_of_table_2(cardinality, base_width, mid_channels):
    block = ResNeXtBlock(256, 256, 1, cardinality, base_width)
    assert block.residual.conv2.weight.shape == (mid_channels, base_width, 3, 3)
    weights = sum(m.weight.numel() for m in block.modules() if isinstance(m, nn.Conv2d))
    assert weights == pytest.approx(70_000, rel=0.025)  # section 3.3


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("channels", "stride"), [(64, 1), (32, 1), (32, 2)])
def test_the_three_forms_of_figure_3_compute_the_same(form, channels, stride):
    grouped = ResNeXtBlock(channels, 64, stride, cardinality=4, base_width=16).double()
    randomise_statistics(grouped)
    other = form(channels, 64, stride, cardinality=4, base_width=16).double()
    copy_weights(grouped, other)
    size = sum(p.numel() for p in grouped.parameters())
    assert sum(p.numel() for p in other.parameters()) == size
    for training in (False, True):
        x = torch.randn(2, channels, 5, 7, dtype=torch.float64, requires_grad=True)
        y, expected = other.train(training)(x), grouped.train(training)(x)
        torch.testing.assert_close(y, expected)
        sent = torch.randn_like(y)
        gradients = [torch.autograd.grad(output, x, sent)[0] for output in (y, expected)]
        torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("form", FORMS)
def test_the_three_forms_compute_the_same_after_a_training_step(form):
    blocks = [
        make(32, 64, 2, cardinality=4, base_width=16).double() for make in (ResNeXtBlock, form)
    ]
    copy_weights(*blocks)
    x = torch.randn(4, 32, 8, 8, dtype=torch.float64)
    for block in blocks:
        optimizer = torch.optim.SGD(block.parameters(), lr=0.1)
        block(x).square().mean().backward()
        optimizer.step()
    trained = form(32, 64, 2, cardinality=4, base_width=16).double()
    copy_weights(blocks[0], trained)
    for key, value in blocks[1].state_dict().items():
        torch.testing.assert_close(trained.state_dict()[key], value)


def test_weights_of_another_cardinality_are_refused():
    with pytest.raises(RuntimeError, match="size mismatch"):
        copy_weights(ResNeXtBlock(64, 64, 1, 4, 16), EarlyConcatenation(64, 64, 1, 2, 16))


@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_with_one_path_equals_resnets_bottleneck(stride):
    block = ResNeXtBlock(64, 256, stride, cardinality=1, base_width=64)
    plain = Bottleneck(64, 256, stride)
    block.load_state_dict(plain.state_dict())
    x = torch.randn(2, 64, 5, 7)
    assert torch.equal(block(x), plain(x))


@pytest.mark.parametrize("make", [ResNeXtBlock, *FORMS])
def test_a_block_too_narrow_for_its_paths_is_refused(make):
    with pytest.raises(ValueError, match="choose a base_width of at least 8"):
        make(32, 32, 1, 4, 4)


@pytest.mark.parametrize("make", [ResNeXtBlock, *FORMS])
def test_fewer_than_one_path_are_refused(make):
    with pytest.raises(ValueError, match="cardinality must be at least 1, got 0"):
        make(64, 64, 1, 0, 16)


@pytest.mark.slow
def test_resnext_29_32x4d_equals_pytorchcvs():
    theirs = get_pytorchcv_model("resnext29_32x4d_cifar10")
    theirs(torch.randn(4, 3, 32, 32))  # statistics that are not 0 and 1
    block = partial(ResNeXtBlock, cardinality=32, base_width=4)
    ours = ResNet(block, SMALL_DEPTHS, SMALL_WIDTHS, small_stem, num_classes=10)
    rename = RESNET(ours)
    ours.load_state_dict({rename(key): value for key, value in theirs.state_dict().items()})
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = theirs.eval()(images)
        torch.testing.assert_close(ours.eval()(images), expected, rtol=1e-5, atol=1e-5)
