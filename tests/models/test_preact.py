import pytest
import torch
from torch import nn

import convnets
from convnets.models.preact import PreactBasicBlock, PreactBottleneck
from tests.conftest import on_meta, traced

DEPTHS = (18, 34, 50, 101, 152)
BLOCKS = pytest.mark.parametrize("make", [PreactBasicBlock, PreactBottleneck])


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_network_has_the_convolutions_of_the_resnet_of_its_depth(depth):
    ours, plain = (
        [
            tuple(module.weight.shape)
            for module in on_meta(name).modules()
            if isinstance(module, (nn.Conv2d, nn.Linear))
        ]
        for name in (f"preact_resnet{depth}", f"resnet{depth}")
    )
    assert sorted(ours) == sorted(plain)
    assert convnets.card(f"preact_resnet{depth}").macs == convnets.card(f"resnet{depth}").macs


def test_projections_have_no_batch_norm_and_the_last_addition_has_an_activation():
    net = on_meta("preact_resnet50")
    assert isinstance(net.features.stage1[0].shortcut, nn.Conv2d)
    assert [name for name, _ in net.features.named_children()][-2:] == ["norm", "relu"]
    assert traced("preact_resnet50")["features.relu"].output == (2048, 7, 7)


@BLOCKS
@pytest.mark.parametrize("training", [True, False])
def test_a_block_with_a_zeroed_last_convolution_is_the_identity_even_on_negative_maps(
    make, training
):
    block = make(8, 8).train(training)
    nn.init.zeros_([m for m in block.modules() if isinstance(m, nn.Conv2d)][-1].weight)
    x = torch.randn(2, 8, 5, 7)
    assert torch.equal(block(x), x)


@BLOCKS
def test_a_gradient_reaches_the_input_unchanged_plus_that_of_the_residual(make):
    block = make(8, 8).double()
    x = torch.randn(2, 8, 5, 7, dtype=torch.float64, requires_grad=True)
    sent = torch.randn_like(x)
    (whole,) = torch.autograd.grad(block(x), x, sent)
    (added,) = torch.autograd.grad(block.residual(block.activation(x)), x, sent)
    torch.testing.assert_close(whole, sent + added)


@BLOCKS
def test_where_the_shape_changes_both_paths_start_after_the_activation(make):
    block = make(8, 16, stride=2).eval()
    x = torch.randn(2, 8, 5, 7)
    active = torch.relu(block.activation.norm1(x))
    y = block(x)
    assert y.shape == (2, 16, 3, 4)
    torch.testing.assert_close(y, block.residual(active) + block.shortcut(active))


@BLOCKS
def test_a_block_does_not_change_its_input_in_place(make):
    x = torch.randn(2, 8, 5, 7)
    before = x.clone()
    make(8, 8)(x)
    assert torch.equal(x, before)
