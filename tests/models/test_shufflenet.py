import pytest
import torch
from pytorchcv.model_provider import get_model as get_pytorchcv_model
from torch import nn

import convnets
from convnets.analysis import trace
from convnets.models import shufflenet, shufflenet_v2
from convnets.models.shufflenet import ShuffleNet
from convnets.models.shufflenet_v2 import ShuffleNetV2
from tests.models.pytorchcv_weights import SHUFFLENET


# Table 1 of the first paper, "Complexity", in millions; its rounding is inconsistent.
@pytest.mark.parametrize(("groups", "millions"), [(1, 143), (2, 140), (3, 137), (4, 133), (8, 137)])
def test_version_1_costs_what_table_1_says(groups, millions):
    assert convnets.card(f"shufflenet_v1_g{groups}").macs / 1e6 == pytest.approx(millions, abs=1.5)


# Table 5 of the second paper: multiply-adds and weights, in millions.
@pytest.mark.parametrize(
    ("scale", "macs", "parameters"),
    [("x0_5", 41, 1.4), ("x1_0", 146, 2.3), ("x1_5", 299, 3.5), ("x2_0", 591, 7.4)],
)
def test_version_2_costs_what_table_5_says(scale, macs, parameters):
    card = convnets.card(f"shufflenet_v2_{scale}")
    assert card.macs / 1e6 == pytest.approx(macs, rel=0.015)
    assert round(card.parameters / 1e6, 1) == parameters


# Table 2 of the first paper: ShuffleNet 0.5x, 38 million for every number of groups.
@pytest.mark.parametrize("groups", [1, 3, 8])
def test_a_scale_of_one_half_costs_what_table_2_says(groups):
    with torch.device("meta"):
        measured = trace(ShuffleNet(groups, scale=0.5), 224)
    assert measured.macs / 1e6 == pytest.approx(38, rel=0.1)


@pytest.mark.parametrize(
    ("groups", "scale", "public"),
    [(1, 0.75, "g1_w3d4"), (3, 0.75, "g3_w3d4"), (3, 0.5, "g3_wd2"), (3, 0.25, "g3_wd4")],
)
def test_a_scaled_network_equals_pytorchcvs(groups, scale, public):
    theirs = get_pytorchcv_model(f"shufflenet_{public}").eval()
    theirs.features.final_pool = nn.AdaptiveAvgPool2d(1)
    ours = ShuffleNet(groups, scale).eval()
    rename = SHUFFLENET(ours)
    ours.load_state_dict({rename(key): value for key, value in theirs.state_dict().items()})
    images = torch.randn(2, 3, 75, 107)
    with torch.no_grad():
        expected = theirs(images)
        scale = expected.abs().max()
        torch.testing.assert_close(ours(images) / scale, expected / scale, rtol=1e-5, atol=1e-5)


def test_stages_have_the_sizes_of_table_1():
    with torch.device("meta"):
        net = convnets.create_model("shufflenet_v1_g3")
        maps = torch.empty(1, 3, 224, 224)
        shapes = []
        for stage in net.features:
            maps = stage(maps)
            shapes.append(tuple(maps.shape[1:3]))
    assert shapes == [(24, 112), (24, 56), (240, 28), (480, 14), (960, 7)]


def test_only_the_first_convolution_of_stage_2_is_not_grouped():
    with torch.device("meta"):
        units = [
            unit
            for stage in list(convnets.create_model("shufflenet_v1_g4").features)[2:]
            for unit in stage
        ]
    groups = [
        (unit.residual.compress.conv.groups, unit.residual.expand.conv.groups) for unit in units
    ]
    assert groups == [(1, 4)] + [(4, 4)] * 15


@pytest.mark.parametrize(
    "unit",
    [shufflenet.ShuffleUnit(24, 3), shufflenet.HalvingShuffleUnit(12, 24, (3, 3))],
    ids=["plain", "halving"],
)
def test_no_relu_follows_the_depthwise_convolution(unit):
    assert [name for name, _ in unit.residual.depthwise.named_children()] == ["conv", "norm"]


def test_a_unit_with_a_zeroed_last_norm_is_the_identity_on_positive_maps():
    unit = shufflenet.ShuffleUnit(24, 3)
    nn.init.zeros_(unit.residual.expand.norm.weight)
    x = torch.rand(2, 24, 5, 7)
    assert torch.equal(unit(x), x)


@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
def test_a_halving_unit_outputs_its_pooled_input(size):
    unit = shufflenet.HalvingShuffleUnit(12, 24, (3, 3))
    x = torch.rand(2, 12, *size)
    y = unit(x)
    assert y.shape == (2, 24, (size[0] + 1) // 2, (size[1] + 1) // 2)
    assert torch.equal(y[:, 12:], nn.functional.avg_pool2d(x, 3, 2, 1))


def test_a_unit_of_version_2_passes_half_of_the_channels_on():
    unit = shufflenet_v2.ShuffleUnitV2(8)
    x = torch.randn(2, 8, 5, 7)
    assert torch.equal(unit(x)[:, ::2], x[:, :4])


def test_a_group_depends_on_all_groups_only_with_the_shuffle():
    def seen(shuffled: bool) -> int:
        unit = shufflenet.ShuffleUnit(48, 3).double()
        if not shuffled:
            unit.residual.shuffle = nn.Identity()
        x = torch.randn(2, 48, 4, 4, dtype=torch.float64, requires_grad=True)
        unit.eval().residual(x)[:, :16].square().sum().backward()
        return int((x.grad.abs().amax((0, 2, 3)) > 0).sum())

    assert seen(shuffled=False) == 16
    assert seen(shuffled=True) == 48


def test_groups_that_table_1_does_not_have_are_refused():
    with pytest.raises(ValueError, match="table 1 has 1, 2, 3, 4, 8 groups, got 5"):
        ShuffleNet(5)


def test_a_scale_whose_widths_the_groups_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="17 channels do not form 4 groups"):
        ShuffleNet(groups=4, scale=0.25)


def test_a_scale_that_leaves_no_channel_is_refused():
    with pytest.raises(ValueError, match="scale must be at least 1/24"):
        ShuffleNet(scale=0)


def test_an_odd_width_is_refused():
    with pytest.raises(ValueError, match="115 channels do not form 2 groups"):
        ShuffleNetV2((115, 232, 464, 1024))
