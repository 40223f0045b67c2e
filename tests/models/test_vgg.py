import pytest
import torch
import torchvision.models
from torch import nn

import convnets

LAYERS = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.Linear, nn.Dropout)


@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_the_number_in_a_name_counts_the_layers_with_weights(depth):
    with torch.device("meta"):
        net = convnets.create_model(f"vgg{depth}")
    assert sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in net.modules()) == depth


@pytest.mark.parametrize("name", [f"vgg{n}{end}" for n in (11, 13, 16, 19) for end in ("", "_bn")])
def test_layers_are_those_of_torchvision_in_the_same_order(name):
    with torch.device("meta"):
        nets = convnets.create_model(name), torchvision.models.get_model(name)
    ours, theirs = ([repr(m) for m in net.modules() if isinstance(m, LAYERS)] for net in nets)
    assert ours == theirs


def test_layers_are_named_as_on_the_slide():
    with torch.device("meta"):
        names = [name for name, _ in convnets.create_model("vgg16").features.named_children()]
    convolutions = [name for name in names if name.startswith("conv")]
    assert convolutions[:3] == ["conv1_1", "conv1_2", "conv2_1"]
    assert convolutions[-1] == "conv5_3"
