"""An analysis leaves a network unchanged: weights, statistics, modes, gradients, hooks, and random
numbers."""

import copy

import pytest
import torch
from torch import Tensor, nn

import convnets
from convnets import analysis
from convnets.analysis import gradient_norms
from convnets.analysis.observing import in_mode, observe
from tests.analysis.analyses import ANALYSES

IMAGES = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(4)


@pytest.fixture(scope="module")
def net() -> nn.Module:
    """Batch norm and gates, stochastic depth and dropout, some parts frozen in evaluation mode."""
    net = convnets.create_model("efficientnet_b0", num_classes=10).train()
    net.features.stage1.eval()
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    return net


@pytest.mark.parametrize("name", sorted(ANALYSES.keys() - {"feature_reuse"}))
def test_an_analysis_leaves_the_network_unchanged(net, name):
    state = copy.deepcopy(net.state_dict())
    modes = [module.training for module in net.modules()]
    random = torch.get_rng_state()
    ANALYSES[name](net, IMAGES, LABELS)
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
    assert [module.training for module in net.modules()] == modes
    assert all((p.grad == 1).all() and p.requires_grad for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_feature_reuse_returns_a_copy():
    net = convnets.create_model("densenet40_12")
    state = copy.deepcopy(net.state_dict())
    analysis.feature_reuse(net, 1).zero_()
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())


def test_a_failing_observer_leaves_the_network_unchanged():
    def fail(name: str, output: torch.Tensor) -> None:
        raise RuntimeError("on purpose")

    net = nn.Sequential(nn.Dropout()).train()
    with pytest.raises(RuntimeError, match="on purpose"):
        observe(net, torch.ones(1, 1, 1, 1), {"0": net[0]}, fail, evaluate=True)
    assert net.training
    assert not net[0]._forward_hooks
    assert not net[0]._forward_pre_hooks


def test_every_module_returns_to_its_own_mode():
    net = nn.Sequential(nn.Dropout(), nn.Dropout().eval())
    net.training = True
    with in_mode(net, training=False):
        assert not net[0].training
    assert (net.training, net[0].training, net[1].training) == (True, True, False)


def test_layers_are_entered_and_left_in_the_order_in_which_they_run():
    net = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Flatten())
    events = []
    observe(
        net,
        torch.ones(2, 1, 1, 1),
        dict(net.named_modules()),
        lambda name, output: events.append(("leave", name, tuple(output.shape))),
        lambda name: events.append(("enter", name)),
    )
    maps = (2, 1, 1, 1)
    inner = [("enter", "0"), ("enter", "0.0"), ("leave", "0.0", maps), ("leave", "0", maps)]
    after = [("enter", "1"), ("leave", "1", (2, 1)), ("leave", "", (2, 1))]
    assert events == [("enter", ""), *inner, *after]


def test_weights_replace_parameters_for_one_run():
    net = nn.Linear(1, 1)
    nn.init.ones_(net.weight)
    weights = {"weight": torch.tensor([[3.0]]), "bias": torch.tensor([1.0])}
    assert observe(net, torch.ones(1, 1), weights=weights).item() == 4
    assert net.weight.item() == 1


class Twice(nn.Module):
    """Holds one block under two names, and one weight in two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
        self.second = self.first
        self.tied = nn.Conv2d(3, 3, 1)
        self.tied.weight = self.first[0].weight

    def forward(self, x: Tensor) -> Tensor:
        return self.tied(self.second(self.first(x))).flatten(1)


SHARED = {"trace", "saved_for_backward", "receptive_field", "numerical_receptive_field"}
SHARED |= {"activation_statistics", "gradient_norms", "loss_along_direction"}


@pytest.mark.parametrize("key", sorted(SHARED))
def test_a_block_that_a_network_holds_twice_is_unchanged(key):
    net, images, labels = Twice().train(), torch.randn(2, 3, 9, 9), torch.tensor([0, 1])
    expected, state = copy.deepcopy(net)(images), copy.deepcopy(net.state_dict())
    parameters = list(net.parameters())
    ANALYSES[key](net, images, labels)
    assert all(a is b for a, b in zip(parameters, net.parameters(), strict=True))
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert torch.equal(net(images), expected)


def test_a_weight_that_layers_share_is_replaced_in_all_of_them():
    net, images = Twice().eval(), torch.randn(2, 3, 9, 9)
    changed = copy.deepcopy(net)
    nn.init.ones_(changed.tied.weight)
    weights = {"first.0.weight": torch.ones(3, 3, 1, 1)}
    assert torch.equal(observe(net, images, weights=weights), changed(images))


def test_attributes_that_a_run_sets_are_what_they_were():
    class Remembering(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mask, self.runs = None, 0

        def forward(self, x: Tensor) -> Tensor:
            self.runs += 1
            self.mask = torch.ones_like(x)
            self.extra = x
            return x * self.mask

    net = Remembering()
    observe(net, torch.ones(1, 1))
    assert (net.mask, net.runs, hasattr(net, "extra")) == (None, 0, False)


def test_gradients_are_recorded_on_request_only():
    net, images = nn.Linear(1, 1), torch.ones(1, 1)
    assert not observe(net, images).requires_grad
    with torch.no_grad():
        assert observe(net, images, gradients=True).requires_grad


def test_layers_that_return_other_things_than_tensors_can_be_allowed():
    seen = []
    net = nn.Sequential(nn.LSTM(4, 2))
    images, layers = torch.ones(1, 4), {"0": net[0]}
    with pytest.raises(ValueError, match="layer '0' returns a tuple, not a tensor"):
        observe(net, images, layers)
    observe(net, images, layers, lambda name, output: seen.append(output), tensors_only=False)
    assert isinstance(seen[0], tuple)


@pytest.mark.parametrize(
    "key", ["gradient_norms", "grad_cam", "effective_receptive_field", "trace"]
)
@pytest.mark.parametrize("made", [torch.enable_grad, torch.inference_mode])
@pytest.mark.parametrize("used", [torch.no_grad, torch.inference_mode])
def test_an_analysis_gives_the_same_where_gradients_are_off(key, made, used):
    torch.manual_seed(1)
    expected = ANALYSES[key](*network_and_batch())
    torch.manual_seed(1)
    with made():
        made_here = network_and_batch()
    with used():
        result = ANALYSES[key](*made_here)
    tensors = [getattr(each, "energy", each) for each in (expected, result)]
    if isinstance(tensors[0], Tensor):
        assert torch.equal(*tensors)
    else:
        assert tensors[0] == tensors[1]


def network_and_batch() -> tuple[nn.Module, Tensor, Tensor]:
    net = convnets.create_model("resnet20", 10, 1)
    return net, torch.randn(2, 1, 32, 32), torch.tensor([3, 5])


def test_gradients_of_frozen_weights_are_measured():
    net, images, labels = network_and_batch()
    expected = gradient_norms(net, images, labels)
    assert gradient_norms(net.requires_grad_(False), images, labels) == expected
