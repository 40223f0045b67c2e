import pytest
import torch
from torch import nn

import convnets
from convnets.layers import SqueezeExcite, StochasticDepth
from convnets.models.compound_scaling import Scaling, compound_scaling, grid_search
from convnets.models.efficientnet import VARIANTS, MBConv
from tests.conftest import on_meta


# Table 2: millions of parameters, as the paper rounds them, and billions of FLOPS, which it counts
# as multiply-adds.
@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("b0", 5.3, 0.39),
        ("b1", 7.8, 0.70),
        ("b2", 9.2, 1.0),
        ("b3", 12, 1.8),
        ("b4", 19, 4.2),
        ("b5", 30, 9.9),
        ("b6", 43, 19),
        ("b7", 66, 37),
    ],
)
def test_size_and_cost_are_those_of_table_2(name, parameters, macs):
    card = convnets.card(f"efficientnet_{name}")
    assert card.parameters / 1e6 == pytest.approx(parameters, rel=0.02)
    assert card.macs / 1e9 == pytest.approx(macs, rel=0.05)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_input_size_on_the_card_is_the_scaled_one(name):
    scaling, _ = VARIANTS[name]
    assert convnets.card(f"efficientnet_{name}").input_size == round(224 * scaling.resolution)


def test_the_first_block_of_stage_2_squeezes_96_channels_to_4():
    block = on_meta("efficientnet_b0").features.stage2[0]
    assert (block.gate.reduce.in_channels, block.gate.reduce.out_channels) == (96, 4)


def test_stochastic_depth_grows_linearly_with_the_block():
    net = on_meta("efficientnet_b0")
    blocks = [module for module in net.modules() if isinstance(module, MBConv)]
    assert len(blocks) == 16
    drops = {
        number: block.drop.p
        for number, block in enumerate(blocks)
        if isinstance(block.drop, StochasticDepth)
    }
    assert drops == pytest.approx({number: 0.2 * number / 16 for number in drops})
    assert len(drops) == 9


@pytest.mark.parametrize(
    ("name", "constants"), [("b0", (1e-5, 0.1)), ("b4", (1e-5, 0.1)), ("b5", (1e-3, 0.01))]
)
def test_batch_norm_has_the_constants_of_the_public_weights(name, constants):
    modules = on_meta(f"efficientnet_{name}").modules()
    norms = {(m.eps, m.momentum) for m in modules if isinstance(m, nn.BatchNorm2d)}
    assert norms == {constants}


def test_a_block_with_an_open_gate_equals_mobilenets_block_with_silu():
    block = MBConv(8, 8).eval()
    block.gate = nn.Identity()
    x = torch.randn(2, 8, 5, 7)
    expected = x + block.project(block.depthwise(block.expand(x)))
    assert torch.equal(block(x), expected)
    assert isinstance(block.depthwise.act, nn.SiLU)


def test_a_dropped_residual_leaves_the_identity():
    block = MBConv(4, 4, drop=0.5).train()
    x = torch.randn(64, 4, 3, 3)
    unchanged = (block(x) == x).flatten(1).all(1)
    assert 0 < unchanged.sum() < 64


def test_every_block_has_a_gate():
    modules = on_meta("efficientnet_b7").modules()
    assert sum(isinstance(module, SqueezeExcite) for module in modules) == 55


def test_the_papers_constants_almost_double_the_cost():
    assert compound_scaling(1).cost == pytest.approx(1.9203, abs=1e-4)
    assert compound_scaling(0) == Scaling(1, 1, 1)


@pytest.mark.parametrize(("phi", "name"), [(1, "b2"), (2, "b3"), (3.5, "b4")])
def test_the_rule_is_close_to_the_authors_coefficients(phi, name):
    rule, (released, _) = compound_scaling(phi), VARIANTS[name]
    for attribute in ("depth", "width", "resolution"):
        assert getattr(rule, attribute) == pytest.approx(getattr(released, attribute), rel=0.06)


@pytest.mark.parametrize("arguments", [(1, 0.9, 1.1, 1.1), (-1,)])
def test_scaling_down_is_refused(arguments):
    with pytest.raises(ValueError, match="at least 1 and phi at least 0"):
        compound_scaling(*arguments)


def test_the_grid_search_finds_the_best_constants_among_those_that_cost_about_2():
    def like_the_papers(point: Scaling) -> float:
        seen.append(point)
        wanted = Scaling(1.2, 1.1, 1.15)
        return -sum(abs(getattr(point, key) - getattr(wanted, key)) for key in vars(wanted))

    seen: list[Scaling] = []
    assert grid_search(like_the_papers) == Scaling(1.2, 1.1, 1.15)
    assert all(abs(point.cost - 2) <= 0.1 for point in seen)
    assert len(seen) > 10


def test_a_grid_search_that_scores_depth_alone_doubles_the_depth():
    assert grid_search(lambda point: point.depth) == Scaling(2.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"step": 0}, "step must be above 0"), ({"step": 0.9, "tolerance": 0}, "no point of a grid")],
)
def test_an_impossible_grid_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        grid_search(lambda point: 0.0, **arguments)
