import pytest
import torch
from torch import nn

import convnets
from convnets.analysis import residual_responses


def test_it_is_the_spread_of_the_last_batch_norms_output():
    net = convnets.build("resnet20", num_classes=10).train()
    for block in net.modules():
        if hasattr(block, "residual"):
            nn.init.constant_(block.residual.norm2.weight, 0.3)
    responses = residual_responses(net, torch.randn(8, 3, 32, 32))
    assert len(responses) == 9
    assert list(responses)[0] == "features.stage1.0"
    assert all(value == pytest.approx(0.3, rel=0.01) for value in responses.values())


@pytest.mark.parametrize(
    ("name", "branches"),
    [
        ("resnet18", 8),
        ("resnet50", 16),
        ("preact_resnet18", 8),
        ("se_resnet18", 8),
        ("resnext29_8x64d", 9),
        ("wrn16_4", 6),
        ("shufflenet_g3", 13),
        ("mobilenet_v2", 10),
        ("efficientnet_b0", 9),
    ],
)
def test_what_is_measured_is_all_that_a_block_adds(name, branches):
    """A network whose measured branches are set to zero has only its shortcuts left."""
    net = convnets.build(name, num_classes=10)
    images = torch.randn(2, 3, 32, 32)
    responses = residual_responses(net, images)
    assert len(responses) == branches
    assert all(value > 0 for value in responses.values())


@pytest.mark.parametrize("name", ["resnet20", "preact_resnet18", "se_resnet18", "mobilenet_v2"])
def test_the_response_is_the_difference_that_the_block_makes(name):
    net = convnets.build(name, num_classes=10).eval()
    images = torch.randn(2, 3, 32, 32)
    responses = residual_responses(net, images)
    kept = {}
    for block_name in responses:  # blocks with the identity as shortcut

        def keep(module, inputs, output, block_name=block_name):
            before = inputs[0]
            if before.shape == output.shape and not isinstance(
                getattr(module, "relu", None), nn.ReLU
            ):
                kept[block_name] = (output - before).std(correction=0).item()

        block = net.get_submodule(block_name)
        if isinstance(getattr(block, "relu", None), nn.ReLU):
            block.relu = nn.Identity()
        block.register_forward_hook(keep)
    responses = residual_responses(net, images)
    assert len(kept) >= 5
    for block_name, value in kept.items():
        assert responses[block_name] == pytest.approx(value, rel=1e-3), block_name


def test_inception_resnets_branches_count_with_their_scale():
    from convnets.models.inception_resnet import ScaledResidual

    block = ScaledResidual(4, [[(4, 1)]], scale=0.5, relu=False).eval()
    images = torch.randn(2, 4, 8, 8)
    (response,) = residual_responses(block, images).values()
    assert response == pytest.approx((block(images) - images).std(correction=0).item(), rel=1e-4)


@pytest.mark.parametrize("name", ["plain20", "vgg11", "densenet40_12"])
def test_a_network_without_shortcuts_is_refused(name):
    with pytest.raises(ValueError, match="no residual branches"):
        residual_responses(convnets.build(name, num_classes=10), torch.randn(1, 3, 32, 32))
