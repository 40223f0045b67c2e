import pytest
import torch
from torch import nn

import convnets
from convnets.analysis import (
    Window,
    numerical_receptive_field,
    receptive_field,
    receptive_field_of_chain,
)


def on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return convnets.build(name)


def conv(kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(1, 1, kernel_size, stride, padding, dilation)


def test_no_layer_sees_one_pixel():
    field = receptive_field_of_chain([])
    assert (field.size, field.jump, field.start) == (1, 1, 0)


def test_three_3x3_layers_see_as_much_as_one_7x7():
    assert receptive_field_of_chain([Window(3)] * 3) == receptive_field_of_chain([Window(7)])


def test_a_stride_widens_what_the_later_layers_add():
    field = receptive_field_of_chain([Window(3, stride=2), Window(3)])
    assert (field.size, field.jump) == (1 + 2 + 2 * 2, 2)


def test_padding_moves_the_first_field_and_not_its_size():
    padded, bare = (receptive_field_of_chain([Window(5, padding=p)]) for p in (2, 0))
    assert padded.size == bare.size
    assert (padded.start, bare.start) == (0, 2)


@pytest.mark.parametrize(("name", "published"), [("alexnet_one_tower", 195), ("vgg16", 212)])
def test_published_fields_are_reproduced(name, published):
    assert receptive_field(on_meta(name)).size == published


def test_a_layer_can_be_named():
    assert receptive_field(on_meta("vgg16"), "conv1_2").size == 5
    assert receptive_field(on_meta("vgg16"), "pool1").jump == 2


@pytest.mark.parametrize(
    "chain",
    [
        nn.Sequential(conv(3), conv(3), conv(3)),
        nn.Sequential(conv(5, stride=2, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2), conv(3)),
        nn.Sequential(nn.Sequential(conv(3, dilation=2), nn.BatchNorm2d(1)), nn.AvgPool2d(2)),
        nn.Sequential(conv(7, stride=3), conv(1, stride=2), conv(3, padding=1)),
    ],
    ids=["plain", "strides and pool", "nested, dilated", "1x1 with stride"],
)
def test_formula_and_derivative_agree(chain):
    assert numerical_receptive_field(chain, 101) == receptive_field(chain).size


def test_differentiating_leaves_the_network_alone():
    net = nn.Sequential(conv(3), conv(3))
    before = net[0].weight.clone()
    numerical_receptive_field(net, 31)
    assert torch.equal(net[0].weight, before)
    assert net[0].weight.grad is None


def test_a_network_with_branches_is_refused():
    with pytest.raises(ValueError, match="field of a network with branches"):
        receptive_field(on_meta("resnet18"))


def test_an_unknown_layer_is_answered_with_the_names():
    with pytest.raises(ValueError, match="no layer 'conv9_9'; there are conv1_1"):
        receptive_field(on_meta("vgg16"), "conv9_9")


def test_windows_that_are_not_square_are_refused():
    with pytest.raises(ValueError, match="ask for squares"):
        receptive_field(nn.Sequential(nn.Conv2d(1, 1, (3, 5))))


def test_a_field_that_may_be_cut_off_is_refused():
    with pytest.raises(ValueError, match="use a larger input"):
        numerical_receptive_field(nn.Sequential(conv(7, padding=3)), 7)


def test_an_empty_input_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        receptive_field(on_meta("vgg16"), input_size=0)
