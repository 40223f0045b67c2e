import pytest
import torch
from torch import nn

import convnets
from convnets.models import fuse


def with_statistics(name: str) -> nn.Module:
    net = convnets.build(name, num_classes=10, in_channels=3)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return net.eval()


@pytest.mark.parametrize("name", ["vgg11_bn", "resnet20", "resnet50"])
def test_the_fused_network_computes_the_same_without_batch_norm(name):
    net = with_statistics(name)
    fused = fuse(net)
    images = torch.randn(2, 3, 64, 48)
    with torch.inference_mode():
        expected = net(images)
        torch.testing.assert_close(fused(images), expected, rtol=1e-4, atol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def test_a_network_in_training_mode_is_refused():
    with pytest.raises(ValueError, match=r"net\.eval\(\)"):
        fuse(convnets.build("resnet20"))
