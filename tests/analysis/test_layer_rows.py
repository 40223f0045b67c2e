"""The rows of a trace add up to the network, however it is written."""

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm
from torch.utils.flop_counter import FlopCounterMode

from convnets.analysis import LayerRow, Trace, trace
from convnets.analysis.layer_rows import OUTSIDE
from tests.conftest import on_meta


def traced_and_checked(net: nn.Module, input_size: int = 32, macs: int | None = None) -> Trace:
    """The trace, whose rows add up to what PyTorch itself counts, or to the given MACs."""
    result = trace(net, input_size)
    assert sum(row.parameters for row in result) == result.parameters
    assert result.parameters == sum(p.numel() for p in net.parameters())
    if macs is None:
        with FlopCounterMode(display=False) as counter:
            net.eval()(torch.zeros(1, *result.input_shape, device=next(net.parameters()).device))
        macs = counter.get_total_flops() // 2
    assert sum(row.macs for row in result) == result.macs == macs
    assert sum(row.saved_bytes for row in result) == result.saved_bytes
    assert max(row.peak_bytes for row in result) <= result.peak_bytes
    assert all(min(row.weights, row.biases, row.macs, row.saved_bytes) >= 0 for row in result)
    return result


def names(result: Trace) -> list[str]:
    return [row.name for row in result]


class Written(nn.Module):
    """A network whose forward pass is the given function; `parts` become its modules."""

    def __init__(self, forward, **parts: nn.Module | nn.Parameter) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.run = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def test_a_module_with_parameters_and_children_has_a_row_of_its_own():
    def scaled(net, x):
        return net.conv(x) * net.scale

    block = Written(scaled, conv=nn.Conv2d(3, 4, 3), scale=nn.Parameter(torch.ones(4, 1, 1)))
    result = traced_and_checked(nn.Sequential(block, nn.ReLU()))
    assert names(result) == ["0.conv", "0", "1"]
    assert [row.weights for row in result] == [108, 4, 0]
    assert [row.biases for row in result] == [4, 0, 0]
    assert result["0"].output == (4, 30, 30)
    assert result["0"].activation_bytes == 4 * 4 * 30 * 30


def test_what_a_child_returned_is_not_counted_again():
    def scaled_first(net, x):
        return net.conv(x * net.scale)

    block = Written(scaled_first, conv=nn.Conv2d(3, 4, 3), scale=nn.Parameter(torch.ones(3, 1, 1)))
    result = traced_and_checked(nn.Sequential(block))
    assert [row.activation_bytes for row in result] == [4 * 4 * 30 * 30, 0]
    assert result.activation_bytes == 4 * 4 * 30 * 30


def test_the_last_row_tells_what_lies_outside_layers():
    def products(net, x):
        flat = (net.conv(x) + net.offset).flatten(2)
        return flat @ flat.transpose(1, 2)

    net = Written(
        products,
        conv=nn.Conv2d(3, 4, 1),
        offset=nn.Parameter(torch.zeros(4, 1, 1)),
        unused=nn.Linear(5, 6),
    )
    result = traced_and_checked(net, 5)
    assert names(result) == ["conv", OUTSIDE]
    outside = result[OUTSIDE]
    assert outside == result.rows[-1]
    assert (outside.macs, outside.weights, outside.biases) == (4 * 4 * 25, 4 + 30, 6)
    assert outside.saved_bytes == 4 * 4 * 25  # one tensor, although the product saves it twice
    assert (outside.kind, outside.output, outside.activation_bytes) == ("", (), 0)
    assert names(traced_and_checked(nn.Sequential(nn.Conv2d(3, 4, 1)))) == ["0"]


def test_a_layer_counts_no_macs_of_the_layers_inside_it():
    def attention(net, x):
        x = net.inner(x)
        return F.conv2d(x, net.kernel)

    block = Written(
        attention, inner=nn.Conv2d(3, 4, 1), kernel=nn.Parameter(torch.ones(2, 4, 1, 1))
    )
    result = traced_and_checked(nn.Sequential(block), 8)
    assert [row.macs for row in result] == [3 * 4 * 64, 4 * 2 * 64]


def test_shared_parameters_count_once_where_they_run_first():
    first, second, third = (nn.Conv2d(3, 3, 1) for _ in range(3))
    second.weight = third.weight = first.weight
    net = Written(lambda net, x: net.first(net.second(net.third(x))), first=first, second=second)
    net.third = third
    result = traced_and_checked(net, 4)
    assert names(result) == ["third", "second", "first"]
    assert [(row.weights, row.biases) for row in result] == [(9, 3), (0, 3), (0, 3)]


def test_a_module_called_twice_has_two_rows_and_its_parameters_once():
    shared = nn.Conv2d(3, 3, 1, bias=False)
    result = traced_and_checked(nn.Sequential(shared, nn.ReLU(), shared), 4)
    assert [row.kind for row in result] == ["Conv2d", "ReLU", "Conv2d"]
    assert [row.parameters for row in result] == [9, 0, 0]


class Symmetric(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + x.transpose(2, 3)


def symmetric(conv: nn.Conv2d) -> nn.Module:
    parametrize.register_parametrization(conv, "weight", Symmetric())
    return conv


@pytest.mark.parametrize(
    ("change", "weights"),
    [
        (parametrizations.weight_norm, 4 * 3 * 9 + 4),
        (parametrizations.spectral_norm, 4 * 3 * 9),
        (parametrizations.orthogonal, 4 * 3 * 9),
        (symmetric, 4 * 3 * 9),
        (weight_norm, 4 * 3 * 9 + 4),
        (spectral_norm, 4 * 3 * 9),
        (lambda conv: prune.l1_unstructured(conv, "weight", 0.5), 4 * 3 * 9),
    ],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated")
def test_a_computed_weight_belongs_to_its_layer(change, weights):
    net = nn.Sequential(change(nn.Conv2d(3, 4, 3)), nn.ReLU()).eval()
    before = net[0].weight.detach().clone()
    trace(net, 32)
    assert torch.equal(net[0].weight.detach(), before)
    result = traced_and_checked(net)
    assert [(row.name, row.kind) for row in result if row.name != OUTSIDE] == [
        ("0", "Conv2d"),
        ("1", "ReLU"),
    ]
    assert (result["0"].weights, result["0"].biases) == (weights, 4)


def test_a_computed_bias_is_a_bias():
    conv = nn.Conv2d(3, 4, 3)
    parametrize.register_parametrization(conv, "bias", nn.Identity())
    row = traced_and_checked(nn.Sequential(conv))["0"]
    assert (row.weights, row.biases) == (4 * 3 * 9, 4)


def test_fused_norms_have_a_row():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), timm.layers.BatchNormAct2d(8))
    result = traced_and_checked(net)
    assert (result["1"].weights, result["1"].biases) == (8, 8)
    assert result["1"].kind == "BatchNormAct2d"
    assert result["1.act"].parameters == 0


def test_attention_has_one_row_with_the_projection_that_it_uses():
    def attend(net, x):
        tokens = net.conv(x).flatten(2).transpose(1, 2)
        return net.attention(tokens, tokens, tokens)[0]

    net = Written(
        attend, conv=nn.Conv2d(3, 8, 4, 4), attention=nn.MultiheadAttention(8, 2, batch_first=True)
    )
    result = traced_and_checked(net, 16)
    row = result["attention"]
    assert names(result)[:2] == ["conv", "attention"]
    assert row.output == (16, 8)
    assert row.weights == 4 * 8 * 8
    assert row.biases == 4 * 8
    assert row.macs == 4 * 16 * 8 * 8 + 2 * 16 * 16 * 8


class Returns(nn.Module):
    """A leaf that returns its maps in another form."""

    def __init__(self, form) -> None:
        super().__init__()
        self.weight, self.form = nn.Parameter(torch.ones(1)), form

    def forward(self, x: Tensor):
        return self.form(x * self.weight)


@pytest.mark.parametrize(
    ("form", "back", "output", "values"),
    [
        (lambda x: (x, x + 1), lambda y: y[0], (3, 8, 8), 2 * 192),
        (lambda x: [x[:, :1] + 1, x], lambda y: y[1], (1, 8, 8), 64 + 192),
        (lambda x: {"maps": x, "other": None}, lambda y: y["maps"], (3, 8, 8), 192),
        (lambda x: None, lambda y: torch.zeros(1, 3, 8, 8), (), 0),
        (lambda x: 7, lambda y: torch.zeros(1, 3, 8, 8), (), 0),
        (lambda x: x.sum(), lambda y: y.expand(1, 3, 8, 8), (), 1),
        (lambda x: x.reshape(-1, 48), lambda y: y.reshape(-1, 3, 8, 8), (4, 48), 192),
    ],
)
def test_a_layer_may_return_anything(form, back, output, values):
    net = Written(lambda net, x: net.conv(back(net.odd(x))), odd=Returns(form))
    net.conv = nn.Conv2d(3, 4, 3)
    result = traced_and_checked(net, 8)
    assert names(result)[:2] == ["odd", "conv"]
    assert result["odd"].output == output
    assert result["odd"].activation_bytes == 4 * values
    assert result["odd"].weights == 1


def test_recurrent_layers_have_rows():
    def read(net, x):
        sequence, _ = net.lstm(net.conv(x).flatten(2).transpose(1, 2))
        return sequence[:, -1]

    net = Written(read, conv=nn.Conv2d(3, 8, 4, 4), lstm=nn.LSTM(8, 5, batch_first=True))
    of_conv, of_lstm = 16 * 3 * 16 * 8, 16 * 4 * 5 * (8 + 5)
    assert traced_and_checked(net, 16, of_conv + of_lstm)["lstm"].output == (16, 5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit_b_16", "swin_t", "googlenet", "convnext_tiny", "maxvit_t"])
def test_rows_of_torchvisions_networks_add_up(name):
    with torch.device("meta"):  # where attention is counted; its operation for processors is not
        net = torchvision.models.get_model(name, weights=None)
    traced_and_checked(net, 224)


def test_rows_of_our_networks_add_up_where_they_multiply_by_gates():
    result = trace(on_meta("se_resnet50"))
    assert sum(row.saved_bytes for row in result) == result.saved_bytes
    assert result.rows[-1].name == OUTSIDE
    assert result.rows[-1].parameters == result.rows[-1].macs == 0


def test_the_table_and_the_frame_show_memory():
    result = trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), 8)
    frame = result.frame()
    assert frame["saved_bytes"].sum() == result.saved_bytes
    assert frame["peak_bytes"].max() == result.peak_bytes
    table = result.table()
    footers = {column.header: column.footer for column in table.columns}
    assert footers["saved"] == f"{result.saved_bytes:,}"
    assert footers["peak"] == f"{result.peak_bytes:,}"
    assert isinstance(result.rows[0], LayerRow)
