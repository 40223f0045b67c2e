import re

import pytest
import torch

from convnets.models.densenet import DenseBlock, DenseLayer
from convnets.widgets import densenet_connections, residual_gradients


def ratios(text: str) -> list[float]:
    """Ratio of the plain network, then of the residual network."""
    return [float(number.replace(",", "")) for number in re.findall(r"([\d,]+) times", text)]


@pytest.fixture(scope="module")
def gradients():
    return residual_gradients()


def test_a_plain_networks_gradients_grow_faster_towards_the_input(gradients):
    plain, residual = ratios(gradients.describe(20))
    assert plain > 2 * residual


@pytest.mark.slow
def test_the_difference_grows_with_depth(gradients):
    shallow, deep = (ratios(gradients.describe(depth)) for depth in (20, 56))
    assert deep[0] / deep[1] > 10 * shallow[0] / shallow[1]


def test_there_is_a_point_for_each_layer(gradients):
    ax = gradients.draw(20).axes[0]
    assert {line.get_label(): len(line.get_xdata()) for line in ax.lines} == {
        "plain-20": 20,
        "resnet-20": 20,
    }


def test_the_global_random_state_is_not_changed():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    residual_gradients().describe(20)
    assert torch.equal(torch.rand(1), expected)


def test_the_description_of_a_dense_block_agrees_with_the_module():
    text = densenet_connections().describe(layers=3, growth_rate=12)
    block = DenseBlock([DenseLayer(channels, 12) for channels in (24, 36, 48)])
    channels = block(torch.zeros(1, 24, 4, 4)).shape[1]
    assert "= 6 connections" in text
    assert f"the block outputs {channels}." in text
    assert f"{sum(p.numel() for p in block.parameters()):,} parameters," in text


def test_a_dense_block_is_labelled_with_its_channels():
    ax = densenet_connections().draw(layers=2, growth_rate=12).axes[0]
    assert "reads\n36" in [text.get_text() for text in ax.texts]
