import time

import pytest
import torch
from torch import nn
from torch.nn.functional import relu

from autograder.checks.equivalence import (
    Reference,
    _assignments,
    find_match,
    fits,
    randomize_,
)
from autograder.checks.student import Block, StudentError, layers_of


class Basic(nn.Module):
    """A correct basic block; the classes below change one thing each."""

    def __init__(self, i, o, stride=1, *, bias=False):
        super().__init__()
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=bias)
        self.bn1 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=bias)
        self.bn2 = nn.BatchNorm2d(o)
        self.shortcut = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=bias), nn.BatchNorm2d(o))

    def branch(self, x):
        return self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))

    def forward(self, x):
        return relu(self.branch(x) + self.shortcut(x))


class RegisteredBackwards(nn.Module):
    def __init__(self, i, o, stride=1):
        super().__init__()
        self.skip = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))
        self.d = nn.BatchNorm2d(o)
        self.c = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.b = nn.BatchNorm2d(o)
        self.a = nn.Conv2d(i, o, 3, stride, 1, bias=False)

    def forward(self, x):
        return (self.d(self.c(self.b(self.a(x)).clamp(min=0))) + self.skip(x)).clamp(min=0)


class WithBiases(Basic):
    def __init__(self, i, o, stride=1):
        super().__init__(i, o, stride, bias=True)


class InPlace(Basic):
    def forward(self, x):
        out = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu_()))
        out += self.shortcut(x)
        return out.relu_()


class NoLastRelu(Basic):
    def forward(self, x):
        return self.branch(x) + self.shortcut(x)


class AbsurdlyManyLayers(NoLastRelu):
    def __init__(self, i, o, stride=1):
        super().__init__(i, o, stride)
        self.many = nn.ModuleList(nn.BatchNorm2d(o) for _ in range(30))


class RaisesInForward(Basic):
    def forward(self, x):
        return {}["missing"]


@pytest.fixture
def reference():
    return Reference(randomize_(Basic(3, 6, 2), torch.Generator().manual_seed(0)))


@pytest.fixture
def x():
    return torch.randn(2, 3, 8, 6, generator=torch.Generator().manual_seed(1)).double()


def test_layers_are_matched_regardless_of_names_and_order(reference, x):
    block = Block(RegisteredBackwards, 3, 6, stride=2)
    assert find_match(reference, block, block.layers(), x).parts == {
        "conv1": "a",
        "bn1": "b",
        "conv2": "c",
        "bn2": "d",
        "shortcut.0": "skip.0",
        "shortcut.1": "skip.1",
    }


@pytest.mark.parametrize("student", [Basic, WithBiases, InPlace])
def test_an_equivalent_block_agrees_in_everything(student, reference, x):
    block = Block(student, 3, 6, stride=2)
    match = find_match(reference, block, block.layers(), x)
    assert match.wrong_values([x[:1], x]) is None
    assert match.same_gradients(x)
    assert match.same_training([x, 2 * x])
    assert not block.changed_its_input


@pytest.mark.parametrize("student", [NoLastRelu, AbsurdlyManyLayers, RaisesInForward])
def test_a_block_that_is_not_equivalent_has_no_match(student, reference, x):
    block = Block(student, 3, 6, stride=2)
    assert find_match(reference, block, block.layers(), x) is None


class ManyConvolutions(Basic):
    """A thousand convolutions of the reference's shape, and too few batch norms."""

    def __init__(self, i, o, stride=1):
        super().__init__(i, o, stride)
        self.many = nn.ModuleList(nn.Conv2d(o, o, 3, bias=False) for _ in range(1000))
        self.bn2 = nn.Identity()


def test_thousands_of_layers_do_not_slow_the_search(reference, x):
    block = Block(ManyConvolutions, 3, 6, stride=2)
    layers = block.layers()
    begun = time.process_time()
    assert find_match(reference, block, layers, x) is None
    assert time.process_time() - begun < 0.5


def test_the_search_over_partial_assignments_ends():
    # A layer with a bias fits a reference layer without one. So there are enough layers for either
    # kind of reference layer, but not for both.
    plain, biased = {"weight": (4, 4, 3, 3)}, {"weight": (4, 4, 3, 3), "bias": (4,)}
    reference = {f"plain {n}": plain for n in range(8)} | {f"biased {n}": biased for n in range(8)}
    begun = time.process_time()
    assert not list(_assignments(reference, {str(n): biased for n in range(12)}))
    assert time.process_time() - begun < 0.5


def test_a_tensor_called_bias_with_another_shape_is_not_a_free_bias(reference, x):
    class HugeBias(Basic):
        def __init__(self, i, o, stride=1):
            super().__init__(i, o, stride)
            # A view of one number, which takes no memory.
            self.conv2.bias = nn.Parameter(torch.zeros(1, dtype=torch.float64).expand(4 * 10**9))

    layers = layers_of(HugeBias(3, 6, 2))
    assert layers["conv2"]["bias"] == (4 * 10**9,)
    assert not fits(layers["conv2"], reference.layers["conv2"])
    assert not list(_assignments(reference.layers, layers))


def test_a_reference_computes_each_result_once_and_keeps_its_state(reference, x):
    before = {name: tensor.clone() for name, tensor in reference.state.items()}
    assert reference.values(x) is reference.values(x)
    assert reference.values(2 * x) is not reference.values(x)
    _, trained = reference.training([x])
    assert not torch.equal(trained.state["bn1.running_mean"], before["bn1.running_mean"])
    assert all(torch.equal(tensor, before[name]) for name, tensor in reference.state.items())


def test_an_error_names_the_call_and_the_reason(x):
    block = Block(RaisesInForward, 3, 6, stride=2)
    with pytest.raises(StudentError, match=r"RaisesInForward\(3, 6, stride=2\).*KeyError"):
        block.forward(x)
