from functools import partial

import pytest
import torch
from pytorchcv.model_provider import get_model as get_pytorchcv_model
from torch import nn

import convnets
from convnets.layers import small_stem
from convnets.models.resnet import (
    TABLE_6,
    BasicBlock,
    Bottleneck,
    PlainBlock,
    ResNet,
    ZeroPadShortcut,
    shortcut,
)
from tests.conftest import traced
from tests.models.pytorchcv_weights import RESNET

BOTTLENECKS = (50, 101, 152)


# Table 6, "# params", in millions.
@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_small_networks_have_the_papers_parameters(depth, millions):
    parameters = convnets.card(f"resnet{depth}").parameters / 1e6
    assert round(parameters, 1 if depth == 110 else 2) == millions


# Table 1, "FLOPs", which counts multiply-adds, in billions; its rounding is inconsistent.
@pytest.mark.parametrize(
    ("name", "billions"),
    [
        *(("resnet18", 1.8), ("resnet34", 3.6)),
        *(("resnet50_v1", 3.8), ("resnet101_v1", 7.6), ("resnet152_v1", 11.3)),
    ],
)
def test_networks_cost_what_table_1_says(name, billions):
    assert convnets.card(name).macs / 1e9 == pytest.approx(billions, abs=0.07)


@pytest.mark.parametrize("depth", BOTTLENECKS)
def test_the_place_of_the_stride_changes_the_cost_and_not_the_parameters(depth):
    ours, paper = convnets.card(f"resnet{depth}"), convnets.card(f"resnet{depth}_v1")
    assert paper.parameters == ours.parameters
    assert paper.macs < ours.macs
    with torch.device("meta"):
        blocks = convnets.create_model(f"resnet{depth}_v1").features.stage2
    strides = [(block.residual.conv1.stride, block.residual.conv2.stride) for block in blocks]
    assert strides[0] == ((2, 2), (1, 1))
    assert set(strides[1:]) == {((1, 1), (1, 1))}


@pytest.mark.parametrize("name", ["plain34", "resnet34", "resnet50", "resnet50_v1"])
def test_stages_have_the_sizes_of_table_1(name):
    with torch.device("meta"):
        net = convnets.create_model(name)
        maps, shapes = torch.empty(1, 3, 224, 224), []
        for stage in net.features:
            maps = stage(maps)
            shapes.append(tuple(maps.shape[1:3]))
    wide = 4 if "50" in name else 1
    assert shapes == [(64, 56)] + [(wide * 64 * 2**i, 56 // 2**i) for i in range(4)]


def test_layers_have_the_names_of_the_paper():
    rows = traced("resnet50")
    assert rows["stage1.0.residual.conv1"].output == (64, 56, 56)
    assert rows["stage1.0.shortcut.conv"].output == (256, 56, 56)


@pytest.mark.parametrize("block", [BasicBlock(8, 8), Bottleneck(8, 8)], ids=["basic", "bottleneck"])
@pytest.mark.parametrize("training", [True, False])
def test_a_residual_block_with_zeroed_last_norm_is_the_identity(block, training):
    last_norm = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)][-1]
    nn.init.zeros_(last_norm.weight)
    nn.init.zeros_(last_norm.bias)
    x = torch.rand(2, 8, 5, 5)
    assert torch.equal(block.train(training)(x), x)


def test_a_basic_block_without_its_shortcut_equals_the_plain_block():
    plain, basic = PlainBlock(4, 4), BasicBlock(4, 4)
    basic.residual.load_state_dict(plain.convolutions.state_dict())

    class Nothing(nn.Module):
        def forward(self, x):
            return torch.zeros_like(x)

    basic.shortcut = Nothing()
    x = torch.randn(2, 4, 7, 7)
    assert torch.equal(basic(x), plain(x))


def test_a_bottleneck_has_the_weights_of_the_slide():
    block = Bottleneck(256, 256)
    weights = sum(m.weight.numel() for m in block.modules() if isinstance(m, nn.Conv2d))
    assert weights == 69_632  # slide 43


def test_shortcuts_follow_the_papers_options():
    assert isinstance(shortcut(8, 8, 1, "A"), nn.Identity)
    assert isinstance(shortcut(8, 8, 1, "B"), nn.Identity)
    assert not isinstance(shortcut(8, 8, 1, "C"), nn.Identity)
    assert not list(shortcut(8, 16, 2, "A").parameters())
    assert list(shortcut(8, 16, 2, "B").parameters())


def test_an_unknown_shortcut_option_is_refused():
    with pytest.raises(ValueError, match="'A', 'B' or 'C', got 'D'"):
        shortcut(8, 8, 1, "D")


@pytest.mark.parametrize("size", [8, 9])
def test_the_zero_padding_shortcut_keeps_every_second_pixel_and_adds_maps_of_zeros(size):
    x = torch.randn(1, 4, size, size)
    y = ZeroPadShortcut(4, 8, stride=2)(x)
    assert torch.equal(y[:, 2:6], x[:, :, ::2, ::2])
    assert not y[:, :2].any()
    assert not y[:, 6:].any()


def test_plain_and_residual_small_networks_have_the_same_parameters():
    counts = [
        sum(p.numel() for p in convnets.create_model(name).parameters())
        for name in ("plain56", "resnet56")
    ]
    assert counts[0] == counts[1]


def test_only_the_shortcuts_distinguish_a_network_with_option_a_from_one_with_option_b():
    nets = [ResNet(partial(BasicBlock, option=option), *TABLE_6[20], small_stem) for option in "AB"]
    without, with_projections = (set(net.state_dict()) for net in nets)
    assert without < with_projections
    assert all("shortcut" in key for key in with_projections - without)


@pytest.mark.slow
def test_resnet_20_with_projections_equals_pytorchcvs():
    theirs = get_pytorchcv_model("resnet20_cifar10")
    theirs(torch.randn(8, 3, 32, 32))  # statistics that are not 0 and 1
    ours = ResNet(BasicBlock, *TABLE_6[20], small_stem, num_classes=10)
    rename = RESNET(ours)
    ours.load_state_dict({rename(key): value for key, value in theirs.state_dict().items()})
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = theirs.eval()(images)
        torch.testing.assert_close(ours.eval()(images), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        *((f"plain{depth}", depth) for depth in (18, 34, 20, 32, 44, 56)),
        *((f"resnet{depth}", depth) for depth in (18, 34, 50, 101, 152, 20, 32, 44, 56, 110)),
        *((f"resnet{depth}_v1", depth) for depth in BOTTLENECKS),
    ],
)
def test_the_number_in_a_name_counts_the_layers_with_weights(name, layers):
    with torch.device("meta"):
        net = convnets.create_model(name)
    weighted = [
        key
        for key, module in net.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear)) and "shortcut" not in key
    ]
    assert len(weighted) == layers
