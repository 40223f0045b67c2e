"""Block diagrams of all blocks of the course, read back from the figure."""

from functools import cache
from itertools import combinations

import numpy as np
import pytest
import torch
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from matplotlib.transforms import Bbox
from torch import nn

from convnets.models.densenet import BottleneckLayer, DenseBlock, DenseLayer
from convnets.models.efficientnet import MBConv
from convnets.models.googlenet import TABLE_1, InceptionModule, NaiveInception
from convnets.models.mobilenet import depthwise_separable
from convnets.models.mobilenet_v2 import InvertedResidual
from convnets.models.resnet import BasicBlock, Bottleneck
from convnets.models.resnext import EarlyConcatenation, ResNeXtBlock
from convnets.models.senet import basic_block, gated, gated_inception
from convnets.models.shufflenet import HalvingShuffleUnit, ShuffleUnit
from convnets.models.shufflenet_v2 import HalvingShuffleUnitV2, ShuffleUnitV2
from convnets.plots import block_diagram


def dense_block(layer, depth):
    return DenseBlock([layer(24 + 12 * number, 12) for number in range(depth)])


# Block, input shape (C, H, W), number of boxes side by side, part of the text alternative.
BLOCKS = {
    "basic": (BasicBlock(64, 64), (64, 56, 56), 1, "3: add, reads the input and 2"),
    "projection": (BasicBlock(64, 128, 2), (64, 56, 56), 2, "1x1 conv, 128, stride 2, batch norm"),
    "zeros": (BasicBlock(16, 32, 2, "A"), (16, 32, 32), 2, "zero pad shortcut, stride 2"),
    "bottleneck": (Bottleneck(256, 256), (256, 56, 56), 1, "4: add, reads the input and 3"),
    "wider bottleneck": (Bottleneck(256, 512, 2), (256, 56, 56), 2, "outputs 512x28x28"),
    "se": (gated(basic_block)(64, 64, 1), (64, 28, 28), 1, "6: multiply, reads 2 and 5"),
    "se projection": (gated(Bottleneck)(64, 256, 2), (64, 28, 28), 2, "global average pool"),
    "naive": (NaiveInception(256, 128, 192, 96), (256, 28, 28), 4, "5: concat, reads 1 and 2 and"),
    "inception": (InceptionModule(256, TABLE_1["3b"]), (256, 28, 28), 4, "3x3 max pool, stride 1"),
    "se inception": (gated_inception(256, TABLE_1["3b"]), (256, 28, 28), 4, "12: multiply"),
    "dense layer": (dense_block(DenseLayer, 1), (24, 32, 32), 1, "1: batch norm, ReLU, reads the"),
    "dense block": (
        dense_block(DenseLayer, 3),
        (24, 32, 32),
        1,
        "reads the input and 2 and 5 and 8",
    ),
    "dense-b": (dense_block(BottleneckLayer, 2), (24, 32, 32), 1, "1x1 conv, 48, batch norm, ReLU"),
    "resnext": (ResNeXtBlock(256, 256), (256, 56, 56), 1, "3x3 conv, 128, 32 groups, batch norm"),
    "paths": (EarlyConcatenation(64, 64, 1, 3, 16), (64, 8, 8), 3, "add, reads the input and 8"),
    "separable": (
        depthwise_separable(128, 256, 2),
        (128, 28, 28),
        1,
        "3x3 depthwise, 128, stride 2",
    ),
    "shuffle": (ShuffleUnit(240, 3), (240, 28, 28), 1, "2: channel shuffle, 3 groups, reads 1"),
    "halving": (
        HalvingShuffleUnit(240, 480, (3, 3)),
        (240, 28, 28),
        2,
        "3x3 average pool, stride 2",
    ),
    "shuffle v2": (ShuffleUnitV2(116), (116, 28, 28), 1, "split, 58 + 58, reads the input"),
    "halving v2": (HalvingShuffleUnitV2(116, 232), (116, 28, 28), 2, "6: concat, reads 2 and 5"),
    "inverted": (InvertedResidual(24, 24), (24, 56, 56), 1, "1x1 conv, 144, batch norm, ReLU6"),
    "mbconv": (MBConv(40, 40, 1, 6, 5), (40, 28, 28), 1, "5x5 depthwise, 240, batch norm, SiLU"),
    "mbconv stride": (MBConv(24, 40, 2, 6, 5), (24, 56, 56), 1, "1x1 conv, 6, SiLU, reads 3"),
}
every_block = pytest.mark.parametrize("name", BLOCKS)


@cache
def diagram(name):
    block, shape, *_ = BLOCKS[name]
    return block_diagram(block, shape)


def boxes(fig, *kinds):
    """Extents of the boxes and circles of these kinds, or of all of them."""
    return [
        patch.get_path().get_extents(patch.get_patch_transform())
        for patch in fig.axes[0].patches
        if isinstance(patch, (Circle, FancyBboxPatch)) and (not kinds or patch.get_gid() in kinds)
    ]


def lines(fig):
    """Points along each line, including its arrow."""
    for patch in fig.axes[0].patches:
        if isinstance(patch, FancyArrowPatch):
            parts = patch.get_path().to_polygons(closed_only=False)
            yield np.concatenate([Path(part).interpolated(50).vertices for part in parts])


def texts(fig):
    """Extents of the texts."""
    to_data = fig.axes[0].transData.inverted()
    found = [text.get_window_extent().transformed(to_data) for text in fig.axes[0].texts]
    return [Bbox([box.min, box.max]) for box in found]  # the vertical axis points down


def written(fig):
    return [text.get_text() for text in fig.axes[0].texts]


def apart(one, other):
    tolerance = 0.001
    return (
        one.x1 < other.x0 + tolerance
        or other.x1 < one.x0 + tolerance
        or one.y1 < other.y0 + tolerance
        or other.y1 < one.y0 + tolerance
    )


def inside(box, points, margin):
    x, y = np.asarray(points).T
    return (
        (box.x0 + margin < x)
        & (x < box.x1 - margin)
        & (box.y0 + margin < y)
        & (y < box.y1 - margin)
    ).any()


@every_block
def test_every_convolution_is_a_box(name):
    convolutions = sum(isinstance(module, nn.Conv2d) for module in BLOCKS[name][0].modules())
    assert len(boxes(diagram(name), "conv")) == convolutions > 0


@every_block
def test_branches_are_drawn_side_by_side(name):
    columns = BLOCKS[name][2]
    drawn = boxes(diagram(name), "conv", "pool", "move")
    heights = np.linspace(0, max(box.y1 for box in drawn), 500)
    assert max(sum(box.y0 < y < box.y1 for box in drawn) for y in heights) == columns


@every_block
def test_input_and_output_have_the_shapes_that_the_block_computes(name):
    block, shape, *_ = BLOCKS[name]
    fig = diagram(name)
    out = block.eval().to("meta")(torch.empty(1, *shape, device="meta"))
    assert f"input, {'x'.join(map(str, shape))}" in written(fig)
    assert f"output, {'x'.join(map(str, out.shape[1:]))}" in written(fig)


@every_block
def test_the_text_alternative_says_which_box_reads_which(name):
    assert BLOCKS[name][3] in diagram(name).alternative


@every_block
def test_nothing_overlaps(name):
    fig = diagram(name)
    drawn, said = boxes(fig), texts(fig)
    assert len(drawn) > 3
    assert all(apart(one, other) for one, other in combinations(drawn, 2))
    assert all(apart(one, other) for one, other in combinations(said, 2))
    for text in said:
        corners = [(text.x0, text.y0), (text.x1, text.y1)]
        around = [box for box in drawn if not apart(text, box)]
        assert all(box.contains(*corner) for box in around for corner in corners)


@every_block
def test_no_line_crosses_a_box_or_a_word(name):
    fig = diagram(name)
    found = list(lines(fig))
    assert len(found) >= len(boxes(fig)) - 1
    for points in found:
        assert not any(inside(box, points, margin=0.02) for box in [*boxes(fig), *texts(fig)])


def test_arrows_are_labelled_with_the_shapes_between_boxes():
    fig = block_diagram(Bottleneck(256, 512, 2), (256, 56, 56))
    between = [text for text in written(fig) if text.count("x") == 2 and "," not in text]
    assert sorted(set(between)) == ["128x28x28", "128x56x56", "512x28x28"]


def test_a_shortcut_passes_the_boxes():
    fig = block_diagram(BasicBlock(64, 64), (64, 56, 56))
    longest = max(lines(fig), key=lambda points: np.ptp(points[:, 1]))
    assert longest[:, 0].max() > max(box.x1 for box in boxes(fig, "conv"))
    assert np.ptp(longest[:, 1]) > 1.5


def test_a_dense_block_has_a_line_for_each_indirect_connection():
    fig = block_diagram(dense_block(DenseLayer, 3), (24, 32, 32))
    beyond = max(box.x1 for box in boxes(fig))
    assert sum(points[:, 0].max() > beyond for points in lines(fig)) == 6


def test_the_block_is_not_changed():
    block = BasicBlock(8, 8).train()
    before = {name: value.clone() for name, value in block.state_dict().items()}
    block_diagram(block, (8, 8, 8))
    assert block.training
    assert all(torch.equal(value, before[name]) for name, value in block.state_dict().items())


def test_functions_are_drawn_like_modules():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3, padding=1)
            self.drop = nn.Dropout()

        def forward(self, x):
            y = torch.relu(self.conv(x))
            return self.drop(x) + y * torch.sigmoid(y) * 0.5

    fig = block_diagram(Gated(), (4, 8, 8))
    assert "1: 3x3 conv, 4, ReLU, reads the input" in fig.alternative
    assert "3: multiply, reads 1 and 2" in fig.alternative
    assert "4: scale, reads 3" in fig.alternative
    assert "5: add, reads the input and 4" in fig.alternative


def test_control_flow_that_depends_on_values_is_refused():
    class DataDependent(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ValueError, match="cannot draw DataDependent: it must take one tensor"):
        block_diagram(DataDependent(), (4, 8, 8))


@pytest.mark.parametrize(
    ("block", "shape"), [(DenseLayer(24, 12), (24, 8, 8)), (BasicBlock(8, 8), (3, 8, 8))]
)
def test_an_input_shape_that_does_not_fit_is_refused(block, shape, capfd):
    with pytest.raises(ValueError, match=f"one tensor of shape {shape[0]}x8x8") as raised:
        block_diagram(block, shape)
    assert len(str(raised.value).splitlines()) == 1
    assert capfd.readouterr().err == ""
