import pytest
import torch
import torchvision
from torch import nn

from convnets.analysis import Window, receptive_field, receptive_field_of_chain
from tests.conftest import on_meta


def conv(kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(1, 1, kernel_size, stride, padding, dilation)


def test_without_layers_the_field_is_one_pixel():
    field = receptive_field_of_chain([])
    assert (field.size, field.jump, field.start) == (1, 1, 0)


def test_three_3x3_layers_have_the_field_of_one_7x7():
    assert receptive_field_of_chain([Window(3)] * 3) == receptive_field_of_chain([Window(7)])


def test_a_stride_multiplies_what_later_layers_add():
    field = receptive_field_of_chain([Window(3, stride=2), Window(3)])
    assert (field.size, field.jump) == (1 + 2 + 2 * 2, 2)


def test_padding_moves_the_field_and_keeps_its_size():
    padded, bare = (receptive_field_of_chain([Window(5, padding=p)]) for p in (2, 0))
    assert padded.size == bare.size
    assert (padded.start, bare.start) == (0, 2)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        *(("alexnet_one_tower", 195), ("vgg16", 212), ("resnet50", 427)),
        *(("resnet50_v1", 483), ("resnet101_v1", 1027), ("resnet152_v1", 1507)),
        *(("mobilenet_v1", 315), ("inception_v4", 2071), ("inception_resnet_v2", 3039)),
    ],
)
def test_published_fields_are_reproduced(name, published):
    """Araujo, Norris, Sim (2019), table 1; resnet50 has the strides of timm and torchvision."""
    assert receptive_field(on_meta(name)).size == published


@pytest.mark.parametrize(
    "windows",
    [
        [Window(3)] * 3,
        [Window(5, 2, 2), Window(3, 2), Window(3, 1, 0, 2)],
        [Window(7, 3, 1), Window(1, 2), Window(3, 1, 1)],
    ],
    ids=["plain", "strides, dilated", "1x1 with stride"],
)
def test_a_chain_follows_the_closed_recurrence(windows):
    chain = [conv(w.kernel_size, w.stride, w.padding, w.dilation) for w in windows]
    net = nn.Sequential(*chain, nn.BatchNorm2d(1), nn.ReLU())
    assert receptive_field(net, input_size=64) == receptive_field_of_chain(windows)


def test_a_layer_can_be_named_in_full_or_by_its_end():
    vgg = on_meta("vgg16")
    assert receptive_field(vgg, "conv1_2").size == 5
    assert receptive_field(vgg, "features.conv1_2").size == 5
    assert receptive_field(vgg, "pool1").jump == 2


def test_each_branch_of_an_inception_module_has_its_field():
    net = on_meta("googlenet")
    before = receptive_field(net, "stem")
    sizes = [
        receptive_field(net, f"inception3a.branch{kind}").size
        for kind in ("1x1", "3x3", "5x5", "_pool")
    ]
    assert sizes == [before.size + reach * before.jump for reach in (0, 2, 4, 2)]
    assert receptive_field(net, "inception3a").size == max(sizes)


def test_a_residual_block_has_the_field_of_its_longest_path():
    net = on_meta("resnet20")
    assert receptive_field(net, "stage1.0").size == 1 + 2 * 3
    assert receptive_field(net, "stage1.0.shortcut").size == 3


def test_a_gate_and_all_layers_after_it_see_the_whole_image():
    net = on_meta("se_resnet18")
    assert receptive_field(net, "stage1.0.residual.norm1").size < 30
    field = receptive_field(net, "stage1.0", input_size=160)
    assert (field.size, field.jump, field.start) == (160, 4, 79.5)


def test_networks_of_torchvision_are_measured_up_to_their_last_map():
    with torch.device("meta"):
        assert receptive_field(torchvision.models.resnet50()).size == 427
        assert receptive_field(torchvision.models.vgg16()).size == 212


def test_an_unknown_layer_is_answered_with_the_names():
    with pytest.raises(ValueError, match=r"no layer 'conv9_9'; there are .*conv1_1"):
        receptive_field(on_meta("vgg16"), "conv9_9")


def test_an_ambiguous_end_of_a_name_is_answered_with_the_full_names():
    with pytest.raises(ValueError, match=r"more than one layer 'norm1'; there are features\.stage"):
        receptive_field(on_meta("resnet18"), "norm1")


def test_a_field_that_is_not_square_is_refused_with_both_sides():
    with pytest.raises(ValueError, match="not square, 3x5 pixels"):
        receptive_field(nn.Sequential(nn.Conv2d(1, 1, (3, 5))))


def test_a_module_that_runs_on_different_maps_is_refused():
    shared = conv(3)
    with pytest.raises(ValueError, match="runs more than once"):
        receptive_field(nn.Sequential(shared, nn.ReLU(), shared), "0")


def test_an_operation_with_an_unknown_field_is_refused_by_name():
    net = nn.Sequential(conv(3), nn.Upsample(scale_factor=2), conv(3))
    assert receptive_field(net, "0").size == 3
    with pytest.raises(ValueError, match="upsample"):
        receptive_field(net)


def test_an_empty_input_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        receptive_field(on_meta("vgg16"), input_size=0)
