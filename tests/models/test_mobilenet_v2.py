import pytest
import torch
from torch import nn

import convnets
from convnets.analysis import trace
from convnets.models.mobilenet_v2 import InvertedResidual, MobileNetV2, round_width


def test_parameters_and_macs_are_those_of_table_4():
    card = convnets.card("mobilenet_v2")
    assert card.macs == pytest.approx(300e6, rel=0.005)
    assert card.parameters == pytest.approx(3.4e6, rel=0.035)  # the paper rounds down


def test_stages_have_the_sizes_of_table_2():
    with torch.device("meta"):
        net = convnets.create_model("mobilenet_v2")
        maps = torch.empty(1, 3, 224, 224)
        shapes = []
        for _, stage in net.features.named_children():
            maps = stage(maps)
            shapes.append(tuple(maps.shape[1:3]))
    assert shapes == [
        *((32, 112), (16, 112), (24, 56), (32, 28), (64, 14)),
        *((96, 14), (160, 7), (320, 7), (1280, 7)),
    ]


@pytest.mark.parametrize("training", [True, False])
def test_a_block_with_a_zeroed_last_norm_is_the_identity(training):
    block = InvertedResidual(8, 8).train(training)
    nn.init.zeros_(block.project.norm.weight)
    x = torch.randn(2, 8, 5, 7)
    assert torch.equal(block(x), x)


def test_a_block_has_a_shortcut_only_where_shapes_agree():
    assert InvertedResidual(8, 8).has_shortcut
    assert not InvertedResidual(8, 16).has_shortcut
    assert not InvertedResidual(8, 8, stride=2).has_shortcut


def test_the_projection_is_linear():
    block = InvertedResidual(8, 16)
    assert not any(isinstance(module, nn.ReLU6) for module in block.project)
    assert isinstance(block.depthwise.act, nn.ReLU6)


@pytest.mark.parametrize(
    ("width", "rounded"),
    [(32, 32), (24 * 0.75, 24), (3, 8), (11, 16), (44, 48), (1280 * 1.1, 1408)],
)
def test_widths_are_rounded_to_multiples_of_8_and_keep_90_percent(width, rounded):
    assert round_width(width) == rounded


def test_a_width_multiplier_of_1_4_has_the_papers_size():
    with torch.device("meta"):
        measured = trace(MobileNetV2(1.4), 224)  # table 4: 6.9M, 585M
    assert measured.macs == pytest.approx(585e6, rel=0.01)
    assert measured.parameters == pytest.approx(6.9e6, rel=0.12)


def test_a_multiplier_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="above 0, got 0"):
        MobileNetV2(0)
