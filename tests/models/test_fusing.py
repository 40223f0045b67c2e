import pytest
import torch
from torch import nn

import convnets
from convnets.models import fuse


def with_statistics(name: str) -> nn.Module:
    net = convnets.create_model(name, num_classes=10, in_channels=3)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return net.eval()


def norms(net: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())


# `left` is the number of batch norms that come before a convolution, which cannot be folded.
@pytest.mark.parametrize(
    ("name", "left"),
    [
        *(("vgg11_bn", 0), ("resnet20", 0), ("resnet50", 0), ("googlenet_bn", 0)),
        *(
            ("se_resnet18", 0),
            ("resnext29_8x64d", 0),
            ("wide_resnet16_4", 6),
            ("preact_resnet18", 9),
        ),
        *(("densenet_bc100_12", 51), ("mobilenet_v1", 0), ("mobilenet_v2", 0)),
        *(("shufflenet_v1_g3", 0), ("shufflenet_v2_x0_5", 0), ("efficientnet_b0", 0)),
    ],
)
def test_the_fused_network_computes_the_same_with_fewer_batch_norms(name, left):
    net = with_statistics(name)
    before = norms(net)
    fused = fuse(net)
    images = torch.randn(2, 3, 64, 48)
    with torch.inference_mode():
        expected = net(images)
        torch.testing.assert_close(fused(images), expected, rtol=1e-4, atol=1e-4)
    assert norms(fused) == left
    assert norms(net) == before > left


def test_a_network_in_training_mode_is_refused():
    with pytest.raises(ValueError, match=r"net\.eval\(\)"):
        fuse(convnets.create_model("resnet20"))
