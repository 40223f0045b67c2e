"""The rows of every registered network serve the plots and the lecture's tables."""

import io

import pytest
import torch
from rich.console import Console
from torch import nn

import convnets
from convnets.analysis.layer_rows import OUTSIDE
from convnets.lecture.measure import filters, kernel, padding, short_name, size, stride
from convnets.plots import figure, layer_bars, lines_by_layer
from tests.analysis.rows import check_sums
from tests.conftest import on_meta, traced

pytestmark = pytest.mark.slow
NETWORKS = pytest.mark.parametrize("name", convnets.list_models())


@NETWORKS
def test_the_rows_are_the_layers_in_the_order_in_which_they_run(name):
    net, result = on_meta(name), traced(name)
    check_sums(result, net, convnets.card(name).macs)
    layers = [row for row in result if row.name != OUTSIDE]
    assert len({row.name for row in layers}) == len(layers)
    assert [row.kind for row in layers] == [
        type(net.get_submodule(row.name)).__name__ for row in layers
    ]
    assert all(row.output and min(row.output) > 0 for row in layers)
    assert all(row.activation_bytes == 4 * torch.Size(row.output).numel() for row in layers)
    assert layers[-1].output == (convnets.card(name).num_classes,)
    outside = [row for row in result if row.name == OUTSIDE]
    assert all(row.parameters == row.macs == 0 for row in outside)


@NETWORKS
def test_the_row_of_a_convolution_has_the_figures_that_the_slides_print(name):
    net = on_meta(name)
    convolutions = [row for row in traced(name) if row.kind == "Conv2d"]
    assert len(convolutions) == sum(isinstance(module, nn.Conv2d) for module in net.modules())
    for row in convolutions:
        conv = net.get_submodule(row.name)
        height, width = conv.kernel_size
        assert row.groups == conv.groups
        assert row.output[0] == conv.out_channels
        assert size(row) == f"{row.output[1]}x{row.output[2]}x{conv.out_channels}"
        assert kernel(row) == f"{height}x{width}"
        assert filters(row) == f"{height}x{width}x{conv.in_channels // conv.groups}"
        assert (stride(row), padding(row)) == (conv.stride[0], conv.padding[0])
        assert short_name(row)
        places = row.output[1] * row.output[2]
        assert row.macs == row.weights * places


@NETWORKS
def test_the_rows_can_be_printed_and_drawn(name):
    result = traced(name)
    frame = result.frame()
    required = ["name", "output", "parameters", "macs", "activation_bytes", "saved_bytes"]
    assert not frame[[*required, "peak_bytes"]].isna().any(axis=None)
    assert frame["parameters"].sum() == result.parameters
    text = io.StringIO()
    Console(file=text, width=240).print(result.table(name))
    printed = text.getvalue()
    assert all(row.name in printed for row in result)
    assert f"{result.parameters:,}" in printed
    fig = figure(1, 2)
    rows = [row for row in result if row.macs]
    layer_bars(fig.axes[0], [row.name for row in rows], [row.macs for row in rows], "MACs")
    lines_by_layer(fig.axes[1], {name: [row.receptive_field[0] for row in rows if row.jump]}, "px")
    fig.canvas.draw()
