"""Which image a network takes: its channels, its number format; and that the network is kept."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import convnets
from convnets.analysis import (
    effective_receptive_field,
    numerical_receptive_field,
    receptive_field,
    trace,
)
from convnets.analysis.meta import image_for


class Small(nn.Module):
    """A public small-image network in short: `in_channels` is the width reached so far."""

    def __init__(self, colours: int = 3, width: int = 64) -> None:
        super().__init__()
        self.in_channels = width
        self.conv1 = nn.Conv2d(colours, width, 3, padding=1)
        self.conv2 = self._make_layer(2 * width)

    def _make_layer(self, channels: int) -> nn.Module:
        layer = nn.Conv2d(self.in_channels, channels, 3, stride=2, padding=1)
        self.in_channels = channels
        return layer

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu(self.conv1(x)))


class Written(nn.Module):
    """A network whose forward pass is the given function of a convolution and the image."""

    def __init__(self, forward, *convolution: int, **settings: int) -> None:
        super().__init__()
        self.conv, self.run = nn.Conv2d(*convolution, **settings), forward

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self.conv, x)


class StemLast(nn.Module):
    """The module that is registered first runs last."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.stem = nn.Conv2d(16, 8, 1), nn.Conv2d(1, 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stem(x))


def patches(conv: nn.Module, x: Tensor) -> Tensor:
    return conv(F.pixel_unshuffle(x, 4))


def with_coordinates(conv: nn.Module, x: Tensor) -> Tensor:
    return conv(torch.cat([x, torch.zeros_like(x[:, :1]), torch.zeros_like(x[:, :1])], 1))


def halves(conv: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([conv(half) for half in x.chunk(2, 1)], 1)


def after_a_constant(conv: nn.Module, x: Tensor) -> Tensor:
    return conv(x + F.conv2d(torch.zeros(1, 7, 16, 16), torch.zeros(1, 7, 1, 1)))


NETS = {
    "colour, widths counted in in_channels": (Small, 3),
    "grey, widths counted in in_channels": (lambda: Small(1, 16), 1),
    "six bands": (lambda: Small(6, 16), 6),
    "registered in another order": (StemLast, 1),
    "depthwise first": (lambda: nn.Conv2d(4, 8, 3, groups=4), 4),
    "transposed first": (lambda: nn.ConvTranspose2d(5, 10, 2, groups=5), 5),
    "cut into patches": (lambda: Written(patches, 48, 8, 1), 3),
    "grey made colour": (lambda: Written(lambda conv, x: conv(x.repeat(1, 3, 1, 1)), 3, 8, 1), 1),
    "coordinates appended": (lambda: Written(with_coordinates, 8, 4, 1), 6),
    "in halves": (lambda: Written(halves, 4, 8, 1), 8),
    "batch norm first": (lambda: nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 4, 3)), 1),
    "another convolution, not of the image": (lambda: Written(after_a_constant, 2, 4, 1), 2),
    "by name": (lambda: Written(lambda c, x: F.conv2d(input=x, weight=c.weight), 2, 4, 1), 2),
}


@pytest.mark.parametrize(("make", "channels"), NETS.values(), ids=NETS)
def test_channels_are_what_the_first_convolution_needs(make, channels):
    assert image_for(make(), 16).shape == (1, channels, 16, 16)
    assert trace(make(), 16).input_shape == (channels, 16, 16)


def test_a_network_without_convolutions_states_its_channels():
    class Mean(nn.Module):
        in_channels = 5

        def forward(self, x: Tensor) -> Tensor:
            return x.mean(dim=(2, 3))

    assert image_for(Mean(), 8).shape == (1, 5, 8, 8)
    with pytest.raises(ValueError, match="say it with in_channels="):
        image_for(nn.Linear(8, 3), 8)


@pytest.mark.parametrize("name", ["lenet5", "alexnet", "resnet20", "densenet121", "shufflenet_v1"])
def test_registered_networks_have_the_channels_of_their_card(name):
    name = next(found for found in convnets.list_models() if found.startswith(name))
    assert image_for(convnets.create_model(name, in_channels=5)).shape[1] == 5


def test_the_channels_can_be_said_everywhere():
    net = nn.Sequential(nn.AvgPool2d(3, 1), nn.AvgPool2d(3, 1))
    assert trace(net, 16, in_channels=2).input_shape == (2, 16, 16)
    assert receptive_field(net, "1", 16, in_channels=2).size == 5
    assert numerical_receptive_field(net, "1", 16, in_channels=2) == 5
    assert effective_receptive_field(net, "1", 16, in_channels=2).energy.shape == (16, 16)
    for wrong in (0, -3):
        with pytest.raises(ValueError, match=f"in_channels must be at least 1, got {wrong}"):
            trace(net, 16, in_channels=wrong)


def test_wrong_channels_are_answered_with_what_can_be_said():
    with pytest.raises(ValueError, match=r"16x16 pixels and 4 channels.*in_channels"):
        trace(Small(), 16, in_channels=4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_number_format_is_that_of_the_parameters(dtype):
    net = Small(3, 8).to(dtype)
    row = trace(net, 16)["conv1"]
    assert row.activation_bytes == 8 * 16 * 16 * dtype.itemsize
    assert receptive_field(net, "conv2", 16).size == 5
    assert numerical_receptive_field(net, "conv2", 16) == 5
    if dtype is not torch.float16:  # slow or missing on processors
        assert 1 < effective_receptive_field(net, "conv2", 16).size <= 5


def test_tensors_that_are_plain_attributes_take_part_and_stay():
    class Normalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.mean, self.order, self.grid = torch.ones(1, 3, 1, 1), torch.tensor([2, 1, 0]), None
            self.register_buffer("mask", None)

        def forward(self, x: Tensor) -> Tensor:
            self.grid, self.mask = torch.arange(x.shape[-1]), x[0, 0] > 0
            return self.conv(x[:, self.order] - self.mean)

    net = Normalised()
    mean = net.mean
    assert trace(net, 8)["conv"].output == (4, 6, 6)
    assert net.mean is mean
    assert (net.grid, net.mask) == (None, None)
    assert net(torch.zeros(1, 3, 8, 8)).shape == (1, 4, 6, 6)


@pytest.mark.parametrize("error", [AssertionError, IndexError, TypeError, ZeroDivisionError])
def test_whatever_a_network_objects_to_is_one_sentence(error):
    def object_to(conv: nn.Module, x: Tensor) -> Tensor:
        if x.shape[-1] < 16:
            raise error("only 16 pixels")
        return conv(x)

    with pytest.raises(ValueError, match=r"cannot take an image of 8x8 pixels.*only 16 pixels"):
        trace(Written(object_to, 3, 4, 1), 8)
