import pytest
import torch
from torch import nn

import convnets
from convnets.layers import SqueezeExcite
from convnets.models.googlenet import TABLE_1
from convnets.models.resnet import BasicBlock, Bottleneck
from convnets.models.resnext import ResNeXtBlock
from convnets.models.senet import basic_block, gated, gated_inception
from tests.conftest import on_meta, traced

BLOCKS = pytest.mark.parametrize("make", [BasicBlock, basic_block, Bottleneck, ResNeXtBlock])
MEMBERS = (*(f"se_resnet{depth}" for depth in (18, 34, 50, 101, 152)), "se_resnext50_32x4d")


def gates(net: nn.Module) -> list[SqueezeExcite]:
    return [module for module in net.modules() if isinstance(module, SqueezeExcite)]


class Open(nn.Module):
    """An open gate: returns ones in the shape of its input."""

    def forward(self, x):
        return torch.ones_like(x)


# Table 2 of the paper, "GFLOPs", which counts multiply-adds.
@pytest.mark.parametrize(
    ("name", "billions"),
    [
        *(("se_resnet50", 3.87), ("se_resnet101", 7.60), ("se_resnet152", 11.32)),
        ("se_resnext50_32x4d", 4.25),
    ],
)
def test_networks_cost_what_table_2_says(name, billions):
    assert convnets.card(name).macs / 1e9 == pytest.approx(billions, rel=0.005)


@pytest.mark.parametrize("depth", [50, 101, 152])
def test_the_gates_add_the_parameters_of_equation_5(depth):
    # 2 / r times the sum over stages of N_s * C_s^2, and here the biases of both layers.
    net, plain = convnets.card(f"se_resnet{depth}"), convnets.card(f"resnet{depth}_v1")
    widths = [gate.reduce.in_channels for gate in gates(on_meta(f"se_resnet{depth}"))]
    weights = sum(2 * width * width // 16 for width in widths)
    biases = sum(width + width // 16 for width in widths)
    assert net.parameters - plain.parameters == weights + biases


def test_se_resnet_50_adds_a_tenth_to_resnet_50():
    added = convnets.card("se_resnet50").parameters - convnets.card("resnet50_v1").parameters
    assert round(added / 1e6, 1) == 2.5  # section 4: "~2.5 million additional parameters"


@pytest.mark.parametrize("name", [*MEMBERS, "se_googlenet"])
def test_every_block_has_one_gate_with_a_sixteenth_of_its_channels(name):
    net = on_meta(name)
    found = gates(net)
    if name == "se_googlenet":
        assert len(found) == 9
    else:
        blocks = [block for stage in list(net.features)[1:] for block in stage]
        assert len(found) == len(blocks)
        assert all([*block.residual._modules][-1] == "gate" for block in blocks)
    assert all(gate.reduce.out_channels == gate.reduce.in_channels // 16 for gate in found)


def test_the_pool_without_padding_gives_the_same_sizes_as_resnets():
    assert traced("se_resnet50")["stem.pool"].output == (64, 56, 56)
    assert traced("resnet50")["stem.pool"].output == (64, 56, 56)


@BLOCKS
def test_a_block_with_a_gate_of_one_equals_the_block_without_a_gate(make):
    plain, block = make(64, 128, 2).eval(), gated(make)(64, 128, 2).eval()
    block.load_state_dict(plain.state_dict(), strict=False)
    block.residual.gate.gate = Open()
    x = torch.randn(2, 64, 5, 7)
    assert torch.equal(block(x), plain(x))


def test_se_googlenet_with_gates_of_one_equals_googlenet():
    plain, net = (
        convnets.create_model(name, 7).eval() for name in ("googlenet_bn", "se_googlenet")
    )
    for index, layer in plain.features.named_children():
        target = getattr(net.features, index)
        getattr(target, "inception", target).load_state_dict(layer.state_dict())
    net.classifier.load_state_dict(plain.classifier.state_dict())
    for gate in gates(net):
        gate.gate = Open()
    image = torch.randn(2, 3, 49, 63)
    with torch.no_grad():
        assert torch.equal(net(image), plain(image))


def test_the_gate_scales_the_residual_and_not_the_shortcut():
    block = gated(Bottleneck)(64, 64, 1).eval()
    nn.init.constant_(block.residual.gate.expand.bias, -1e4)  # a gate of zero
    x = torch.rand(2, 64, 5, 7)
    assert torch.equal(block(x), x)


def test_a_gate_does_not_change_the_shape_of_an_inception_module():
    row = TABLE_1["3a"]
    assert gated_inception(192, row)(torch.randn(2, 192, 7, 9)).shape == (2, row.out_channels, 7, 9)


def test_a_block_too_narrow_for_its_gate_is_refused():
    with pytest.raises(ValueError, match="squeeze_channels must be at least 1, got 0"):
        gated(BasicBlock)(8, 8, 1)
