"""Activation functions are found wherever a network calls them."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convnets.analysis.activation_calls import ActivationCall, observe_activations

# The modules of torch.nn.modules.activation that do not act on each value alone.
NOT_POINTWISE = {"GLU", "MultiheadAttention"} | {"LogSoftmax", "Softmax", "Softmax2d", "Softmin"}
POINTWISE = sorted({*nn.modules.activation.__all__} - NOT_POINTWISE)
IMAGES = torch.linspace(-8, 8, 32).view(2, 1, 4, 4)


def calls(net: nn.Module) -> list[ActivationCall]:
    found: list[ActivationCall] = []
    observe_activations(net, IMAGES.clone(), found.append)
    return found


def build(kind: str) -> nn.Module:
    return nn.Threshold(0.0, 0.0) if kind == "Threshold" else getattr(nn, kind)()


@pytest.mark.parametrize("kind", POINTWISE)
def test_every_activation_module_of_pytorch_is_one_call(kind):
    module = build(kind).eval()
    (call,) = calls(nn.Sequential(module))
    assert call.name == "0"
    assert torch.equal(call.input, IMAGES)
    assert torch.equal(call.output, module(IMAGES))


@pytest.mark.parametrize("kind", POINTWISE)
def test_the_bounds_are_those_of_the_values(kind):
    (call,) = calls(build(kind).eval())
    values = build(kind).eval()(torch.tensor([-1e30, 1e30]))
    low, high = values.min().item(), values.max().item()
    assert call.bounds == ((low, high) if max(-low, high) < 1e3 else None)


@pytest.mark.parametrize(
    "function",
    [
        torch.relu,
        torch.relu_,
        F.relu,
        F.relu_,
        Tensor.relu,
        Tensor.relu_,
        lambda x: F.relu(x, inplace=True),
        lambda x: F.relu(input=x),
        lambda x: F.threshold(x, 0.0, 0.0),
    ],
)
def test_every_spelling_of_relu_is_found_with_its_input(function):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Sequential(nn.Identity())

        def forward(self, x: Tensor) -> Tensor:
            return function(self.block(x))

    (call,) = calls(Net())
    assert call.name in ("relu", "threshold")
    assert torch.equal(call.input, IMAGES)
    assert torch.equal(call.output, IMAGES.clamp(min=0))


@pytest.mark.parametrize(
    ("activation", "bounds"),
    [
        (nn.Hardtanh(-2, 3), (-2, 3)),
        (nn.ReLU6(), (0, 6)),
        (F.relu6, (0, 6)),
        (lambda x: F.hardtanh(x, min_val=-4), (-4, 1)),
        (lambda x: F.hardtanh_(x, -4, 5), (-4, 5)),
    ],
)
def test_bounds_that_the_call_sets_are_found(activation, bounds):
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return activation(x)

    (call,) = calls(Net())
    assert call.bounds == bounds


def test_calls_are_named_after_the_module_that_makes_them():
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(self.act(x))

    names = [call.name for call in calls(nn.Sequential(Block(), nn.Sigmoid(), Block()))]
    assert names == ["0.act", "0.tanh", "1", "2.act", "2.tanh"]


def test_functions_of_parameters_are_not_activations():
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            return x * torch.sigmoid(self.scale)

    assert calls(Scaled()) == []
