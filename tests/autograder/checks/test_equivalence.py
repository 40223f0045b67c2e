import pytest
import torch
from torch import nn

from autograder.checks.equivalence import (
    Block,
    StudentError,
    find_assignment,
    randomize_,
    same_gradients,
    same_training,
    same_values,
)
from tests.autograder.checks import blocks


@pytest.fixture
def reference():
    return randomize_(blocks.Basic(3, 6, 2), torch.Generator().manual_seed(0))


@pytest.fixture
def x():
    return torch.randn(2, 3, 8, 6, generator=torch.Generator().manual_seed(1)).double()


def test_layers_are_matched_whatever_their_names_and_order(reference, x):
    block = Block(blocks.RegisteredBackwards, 3, 6, stride=2)
    assert find_assignment(reference, block, x) == {
        "conv1": "a",
        "bn1": "b",
        "conv2": "c",
        "bn2": "d",
        "shortcut.0": "skip.0",
        "shortcut.1": "skip.1",
    }


@pytest.mark.parametrize("student", [blocks.Basic, blocks.WithBiases, blocks.InPlace])
def test_what_is_equivalent_agrees_in_everything(student, reference, x):
    block = Block(student, 3, 6, stride=2)
    assignment = find_assignment(reference, block, x)
    assert same_values(reference, block, x[:1])
    assert same_gradients(reference, block, assignment, x)
    assert same_training(reference, block, assignment, [x, 2 * x])
    assert not block.changed_its_input


def test_no_assignment_is_found_for_another_function(reference, x):
    block = Block(blocks.NoLastRelu, 3, 6, stride=2)
    assert find_assignment(reference, block, x) is None


def test_a_block_that_fails_has_no_assignment(reference, x):
    assert find_assignment(reference, Block(blocks.RaisesInForward, 3, 6, stride=2), x) is None


def test_a_block_with_absurdly_many_layers_is_given_up(reference, x):
    class Absurd(blocks.NoLastRelu):
        def build(self, i, o, stride):
            super().build(i, o, stride)
            self.many = nn.ModuleList(nn.BatchNorm2d(o) for _ in range(30))

    assert find_assignment(reference, Block(Absurd, 3, 6, stride=2), x) is None


def test_an_error_names_the_call_and_the_reason(x):
    block = Block(blocks.RaisesInForward, 3, 6, stride=2)
    with pytest.raises(StudentError, match=r"RaisesInForward\(3, 6, stride=2\).*KeyError"):
        block.forward(x)
