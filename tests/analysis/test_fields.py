"""Receptive fields of networks that are written in other ways than those of the course."""

from inspect import signature

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import activation

from convnets.analysis import receptive_field, trace
from convnets.analysis.receptive_field import field_of, sides_of


class Written(nn.Module):
    """A network with two convolutions whose forward pass is the given function."""

    in_channels = 4

    def __init__(self, forward, layer: nn.Module | None = None) -> None:
        super().__init__()
        self.layer = layer
        self.conv3, self.conv5 = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 5, padding=2)
        self.run, self.last = forward, nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.run(self, x))


def field(forward, input_size: int = 32):
    return receptive_field(Written(forward), "last", input_size)


def size(forward) -> int:
    return field(forward).size


def after_conv3(layer: nn.Module):
    """The field of a layer that runs after a convolution of 3x3."""
    return receptive_field(Written(lambda net, x: net.layer(net.conv3(x)), layer), "last", 32)


def test_functions_count_like_modules():
    assert size(lambda net, x: F.relu(F.max_pool2d(net.conv3(x), 2))) == 4
    assert size(lambda net, x: F.avg_pool2d(x, 3, stride=1)) == 3
    assert size(lambda net, x: F.conv2d(x, net.conv5.weight)) == 5


def test_sums_products_and_concatenations_take_the_largest_path():
    assert size(lambda net, x: net.conv3(x) + net.conv5(x)) == 5
    assert size(lambda net, x: net.conv3(net.conv3(x)) * x) == 5
    assert size(lambda net, x: torch.cat([x, net.conv5(x), net.conv3(x)], dim=1)) == 5


def test_a_part_of_the_channels_sees_what_all_channels_see():
    assert size(lambda net, x: torch.cat([part * 2 for part in net.conv3(x).chunk(2, 1)], 1)) == 3
    assert size(lambda net, x: net.conv3(x)[:, 1:3]) == 3
    assert size(lambda net, x: net.conv3(x)[:, [2, 0, 1]]) == 3


def test_a_channel_shuffle_keeps_the_field():
    def shuffle(net, x):
        return net.conv3(x).view(1, 2, 2, 32, 32).transpose(1, 2).reshape(1, 4, 32, 32)

    assert size(shuffle) == 3


def test_every_second_pixel_doubles_the_jump():
    strided = field(lambda net, x: net.conv3(net.conv3(x)[:, :, ::2, ::2]))
    assert (strided.size, strided.jump, strided.start) == (3 + 2 * 2, 2, 0)


def test_padding_and_cropping_move_the_centre():
    assert field(lambda net, x: F.pad(x, (2, 0, 2, 0))).start == -2
    assert field(lambda net, x: x[..., 3:, 3:]).start == 3
    assert field(lambda net, x: x[..., -30:, -30:]).start == 2


def test_a_gate_of_fully_connected_layers_sees_the_whole_image():
    def gated(net, x):
        means = x.mean(dim=(2, 3))
        return net.conv3(x) * torch.sigmoid(means @ net.conv3.weight[:, :, 0, 0])[:, :, None, None]

    gate = field(gated)
    assert (gate.size, gate.jump, gate.start) == (32, 1, 15.5)


SIDES = Written.in_channels  # of an image whose sides are as long as it has channels


@pytest.mark.parametrize(
    ("forward", "height", "width"),
    [
        (lambda net, x: net.conv3(x).mean(1), 3, 3),
        (lambda net, x: net.conv3(x).mean(2), SIDES, 3),
        (lambda net, x: net.conv3(x).sum(-1), 3, SIDES),
        (lambda net, x: net.conv3(x).amax(2, keepdim=True), SIDES, 3),
        (lambda net, x: torch.softmax(x, dim=3), 1, SIDES),
        (lambda net, x: torch.softmax(x, dim=1), 1, 1),
        (lambda net, x: x @ x, SIDES, SIDES),
        (lambda net, x: x.transpose(1, 2).softmax(2), 1, 1),
        (lambda net, x: x.permute(0, 2, 3, 1).mean(3), 1, 1),
        (lambda net, x: x.permute(0, 2, 3, 1).mean(1), SIDES, 1),
        (lambda net, x: x.transpose(2, 3), 1, 1),
        (lambda net, x: F.avg_pool2d(x.transpose(2, 3), (3, 1), 1), 1, 3),
        (lambda net, x: net.conv3(x.transpose(1, 3)), 3, SIDES),
        (lambda net, x: F.linear(x, net.conv3.weight[:, :, 0, 0]), 1, SIDES),
        (lambda net, x: F.linear(x.mT, net.conv3.weight[:, :, 0, 0]), SIDES, 1),
        (lambda net, x: x.flatten(2).mean(2), SIDES, SIDES),
        (lambda net, x: x.flatten(1, 2).mean(1), SIDES, 1),
        (lambda net, x: net.conv3(x.flatten(1).view(1, 4, 4, 4)), 3, 3),
        (lambda net, x: x.flatten(2).unflatten(2, (4, 4)), 1, 1),
        (lambda net, x: x.select(2, 0), 1, 1),
        (lambda net, x: F.layer_norm(x, (4,)), 1, SIDES),
        (lambda net, x: F.layer_norm(x.transpose(1, 3), (4,)), 1, 1),
    ],
)
def test_dimensions_are_told_apart_where_their_sizes_are_equal(forward, height, width):
    row = trace(Written(forward), SIDES)["last"]
    _, field = field_of(Written(forward), "last", SIDES, None)
    assert [side.size for side in sides_of(field)] == [height, width]
    assert row.receptive_field in ((height, width), None)


@pytest.mark.parametrize(
    "norm",
    [
        *(nn.InstanceNorm2d(4), nn.InstanceNorm2d(4, affine=True), nn.GroupNorm(2, 4)),
        *(nn.BatchNorm2d(4, track_running_stats=False), nn.LayerNorm([32, 32])),
        nn.LayerNorm([4, 32, 32]),
    ],
)
def test_a_norm_with_the_statistics_of_the_image_sees_all_of_it(norm):
    whole = after_conv3(norm)
    assert (whole.size, whole.jump, whole.start) == (32, 1, 15.5)


def test_batch_norm_with_the_statistics_of_the_batch_sees_the_whole_image():
    assert size(lambda net, x: F.batch_norm(net.conv3(x), None, None, training=True)) == 32


def test_a_norm_with_statistics_of_its_own_keeps_the_field():
    assert after_conv3(nn.BatchNorm2d(4)).size == 3
    assert size(lambda net, x: F.layer_norm(net.conv3(x).movedim(1, 3), (4,)).movedim(3, 1)) == 3
    assert after_conv3(nn.LocalResponseNorm(3)).size == 3


def activations() -> list[nn.Module]:
    """Every activation of `torch.nn` that takes one map, in place too if it can."""
    needed = {"Threshold": {"threshold": 0.1, "value": 0.0}}
    needed |= {name: {"dim": 1} for name in ("Softmax", "Softmin", "LogSoftmax", "GLU")}
    found = []
    for name in activation.__all__:
        kind = getattr(activation, name)
        if name != "MultiheadAttention":  # takes three tensors
            found.append(kind(**needed.get(name, {})))
            if "inplace" in signature(kind).parameters:
                found.append(kind(**needed.get(name, {}), inplace=True))
    return found


@pytest.mark.parametrize("layer", activations(), ids=repr)
@pytest.mark.parametrize("mode", [torch.enable_grad, torch.inference_mode])
def test_every_activation_keeps_the_field(layer, mode):
    with mode():
        assert after_conv3(layer).size == 3


def test_random_numbers_keep_the_field():
    assert size(lambda net, x: F.dropout(net.conv3(x), training=True)) == 3
    assert size(lambda net, x: F.rrelu(net.conv3(x), training=True)) == 3


def test_a_constant_does_not_change_the_field():
    assert size(lambda net, x: net.conv3(x) + net.conv5(torch.zeros(1, 4, 32, 32))) == 3


def test_an_addition_in_place_counts():
    def add(net, x):
        y = net.conv3(x)
        y += net.conv5(x)
        return y

    assert size(add) == 5


def overwritten(net, x):
    maps = torch.zeros(1, 8, 32, 32)
    maps[:, :4] = net.conv3(x)
    return maps


def overwritten_in_part(net, x):
    maps = net.conv3(x)
    maps[:, :2] += net.conv5(x)[:, :2]
    return maps


@pytest.mark.parametrize(
    ("forward", "why"),
    [
        (
            lambda net, x: net.conv3(x) + F.interpolate(x[:, :, ::2, ::2], scale_factor=2),
            "upsample",
        ),
        (lambda net, x: F.conv_transpose2d(x, net.conv3.weight), "transposed"),
        (lambda net, x: x.flip(3), "flip"),
        (lambda net, x: x.cumsum(2), "cumsum"),
        (lambda net, x: x + x.transpose(2, 3), "different places"),
        (lambda net, x: x + x[:, :, :1, :1], "pixels of its own"),
        (lambda net, x: F.adaptive_avg_pool2d(x, 5), "uneven windows"),
        (lambda net, x: net.conv3(x) + net.conv5(x)[:, :, ::2, ::2].repeat(1, 1, 2, 2), "repeat"),
        (overwritten, "overwritten"),
        (overwritten_in_part, "overwritten"),
    ],
)
def test_an_operation_whose_field_is_unknown_is_refused_and_named(forward, why):
    with pytest.raises(ValueError, match=f"cannot be given.*{why}"):
        field(forward)
