import pytest
import torch
from torch import nn

import convnets
from convnets.analysis import residual_responses
from convnets.models.efficientnet import MBConv
from convnets.models.inception import Conv
from convnets.models.inception_resnet import ScaledResidual
from convnets.models.resnext import (
    EarlyConcatenation,
    ResNeXtBlock,
    SplitTransformMerge,
    copy_weights,
)


def test_it_is_the_standard_deviation_after_the_last_batch_norm():
    net = convnets.create_model("resnet20").train()
    for block in net.modules():
        if hasattr(block, "residual"):
            nn.init.constant_(block.residual.norm2.weight, 0.3)
    responses = residual_responses(net, torch.randn(8, 3, 32, 32))
    assert len(responses) == 9
    assert next(iter(responses)) == "features.stage1.0"
    assert all(value == pytest.approx(0.3, rel=0.01) for value in responses.values())


@pytest.mark.parametrize(
    ("name", "branches", "identities"),
    [
        ("resnet18", 8, 5),
        ("resnet50", 16, 12),
        ("preact_resnet18", 8, 5),
        ("se_resnet18", 8, 5),
        ("se_resnext50_32x4d", 16, 12),
        ("resnext50_32x4d", 16, 12),
        ("wide_resnet16_4", 6, 3),
        ("shufflenet_v1_g3", 13, 13),
        ("mobilenet_v2", 10, 10),
        ("efficientnet_b0", 9, 9),
    ],
)
def test_it_is_the_standard_deviation_of_what_a_block_adds(name, branches, identities):
    net = convnets.create_model(name, num_classes=10).eval()
    images = torch.randn(2, 3, 32, 32)
    added = {}
    for place in residual_responses(net, images):
        block = net.get_submodule(place)
        if isinstance(getattr(block, "relu", None), nn.ReLU):  # after the addition
            block.relu = nn.Identity()

        def subtract(module, inputs, output, place=place):
            if isinstance(getattr(module, "shortcut", None), (nn.Identity, type(None))):
                added[place] = (output - inputs[0]).std(correction=0).item()

        block.register_forward_hook(subtract)
    responses = residual_responses(net, images)
    assert len(responses) == branches
    assert len(added) == identities
    for place, expected in added.items():
        assert responses[place] == pytest.approx(expected, rel=1e-3), place


@pytest.mark.parametrize("form", [EarlyConcatenation, SplitTransformMerge])
def test_all_forms_of_the_resnext_block_have_the_same_response(form):
    block, other = ResNeXtBlock(64, 64, base_width=4).eval(), form(64, 64, base_width=4).eval()
    copy_weights(block, other)
    images = torch.randn(2, 64, 4, 4)
    (expected,) = residual_responses(block, images).values()
    (found,) = residual_responses(other, images).values()
    assert found == pytest.approx(expected, rel=1e-4)


def test_dropped_branches_count_as_zeros_in_training():
    block, images = MBConv(8, 8, drop=0.5).train(), torch.randn(16, 8, 8, 8)
    (response,) = residual_responses(block, images).values()
    added = block(images) - images  # drops the same branches, since the analysis restores the seed
    assert (added.flatten(1) == 0).all(dim=1).any()
    assert response == pytest.approx(added.std(correction=0).item(), rel=1e-3)


def test_the_branches_of_inception_resnet_count_with_their_scale():
    block = ScaledResidual(4, ((Conv(3, 1),), (Conv(2, 3),)), scale=0.5, relu=False).eval()
    images = torch.randn(2, 4, 8, 8)
    (response,) = residual_responses(block, images).values()
    assert response == pytest.approx((block(images) - images).std(correction=0).item(), rel=1e-4)


@pytest.mark.parametrize("name", ["plain20", "densenet40_12", "lenet5"])
def test_a_network_without_shortcuts_is_refused(name):
    with pytest.raises(ValueError, match="no residual branches"):
        residual_responses(convnets.create_model(name, num_classes=10), torch.randn(1, 3, 32, 32))
