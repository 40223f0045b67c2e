import pytest
import torch
import torchinfo
from torch import nn

import convnets
from convnets.analysis import receptive_field, trace
from tests.conftest import on_meta, traced


def conv_net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, groups=1), nn.ReLU())


def test_the_row_of_a_convolution_follows_the_formulas():
    row = trace(conv_net(), 32)["0"]
    assert row.kind == "Conv2d"
    assert (row.kernel, row.stride, row.padding, row.groups) == ((3, 3), (2, 2), (1, 1), 1)
    assert row.output == (8, 16, 16)
    assert (row.weights, row.biases) == (3 * 3 * 3 * 8, 8)
    assert row.macs == 3 * 3 * 3 * 8 * 16 * 16
    assert row.activation_bytes == 8 * 16 * 16 * 4


@pytest.mark.slow
@pytest.mark.parametrize("name", convnets.list_models())
def test_totals_agree_with_torchinfo(name):
    """torchinfo also counts biases, at each place of a map, and batch norm parameters once."""
    net, result = on_meta(name), traced(name)
    image = torch.empty(1, *result.input_shape, device="meta")
    theirs = torchinfo.summary(net, input_data=image, device="meta", verbose=0)
    places = [row.output[1] * row.output[2] if row.kind == "Conv2d" else 1 for row in result]
    assert theirs.total_params == result.parameters
    assert theirs.total_mult_adds == sum(
        row.parameters * number for row, number in zip(result, places, strict=True)
    )
    extra = [
        row.biases * number if row.macs else row.parameters
        for row, number in zip(result, places, strict=True)
    ]
    assert theirs.total_mult_adds == result.macs + sum(extra)


@pytest.mark.slow
@pytest.mark.parametrize("name", convnets.list_models())
def test_layers_of_every_network_have_all_its_costs_and_a_receptive_field(name):
    result = traced(name)
    assert sum(row.macs for row in result) == result.macs
    assert sum(row.parameters for row in result) == result.parameters
    maps = [row for row in result if len(row.output) == 3]
    assert all(row.receptive_field and row.jump and row.start for row in maps)
    assert maps[0].receptive_field == maps[0].kernel


def test_the_input_size_is_the_networks_own_by_default():
    assert traced("alexnet").input_shape == (3, 227, 227)
    assert traced("lenet5").input_shape == (1, 32, 32)
    small = convnets.create_model("resnet18", 10, 1, small_input=True)
    assert trace(small).input_shape == (1, small.input_size, small.input_size)
    assert trace(conv_net()).input_shape == (3, 224, 224)


def test_field_jump_and_centre_of_a_row_are_those_of_receptive_field():
    field = receptive_field(on_meta("resnet50"), "features.stage3.2.relu")
    row = traced("resnet50")["features.stage3.2.relu"]
    assert row.receptive_field == (field.size, field.size)
    assert row.jump == (field.jump, field.jump)
    assert row.start == (field.start, field.start)


def test_a_field_may_be_wider_than_high():
    net = nn.Sequential(nn.Conv2d(1, 1, (1, 7), padding=(0, 3)), nn.Flatten())
    rows = trace(net, 8).rows
    assert (rows[0].receptive_field, rows[0].start) == ((1, 7), (0, 0))
    assert rows[1].receptive_field is None


def test_a_module_called_twice_has_two_rows_and_its_parameters_once():
    shared = nn.Conv2d(3, 3, 1, bias=False)
    result = trace(nn.Sequential(shared, nn.ReLU(), shared), 4)
    assert [row.kind for row in result] == ["Conv2d", "ReLU", "Conv2d"]
    assert [row.parameters for row in result] == [9, 0, 0]
    assert result.parameters == 9


def test_the_network_its_mode_and_its_statistics_are_unchanged():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout()).train()
    net[1].eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    trace(net, 8)
    assert [module.training for module in net] == [True, False, True]
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


def test_height_and_width_may_differ():
    assert trace(conv_net(), (32, 48))["0"].output == (8, 16, 24)


@pytest.mark.parametrize(
    ("kernel", "dilation", "padding", "expected"),
    [
        *((3, 1, "same", (1, 1)), ((1, 5), 1, "same", (0, 2)), (3, (1, 2), "same", (1, 2))),
        *((3, 1, "valid", (0, 0)), (2, 1, "same", None)),
    ],
)
def test_padding_that_is_named_has_its_size(kernel, dilation, padding, expected):
    row = trace(nn.Conv2d(3, 4, kernel, padding=padding, dilation=dilation), 8).rows[0]
    assert row.padding == expected


def test_an_image_that_is_too_small_is_explained():
    with pytest.raises(ValueError, match="smallest that works is 32x32"):
        trace(convnets.create_model("vgg11"), 16)


def test_a_network_that_depends_on_pixel_values_is_refused():
    class Gated(nn.Module):
        in_channels = 3

        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ValueError, match="depend on the values of the pixels"):
        trace(Gated(), 8)


def test_a_network_without_convolutions_must_state_its_channels():
    with pytest.raises(ValueError, match="in_channels"):
        trace(nn.Linear(3, 3), 8)


def test_an_unknown_layer_is_answered_with_the_names():
    with pytest.raises(KeyError, match="no layer 'conv9'"):
        trace(conv_net(), 8)["conv9"]


def test_the_frame_has_a_row_for_each_layer_and_a_column_for_each_field():
    frame = trace(conv_net(), 8).frame()
    assert list(frame["kind"]) == ["Conv2d", "ReLU"]
    assert frame["parameters"].sum() == 3 * 3 * 3 * 8 + 8
