"""A batch that does not fit into memory: what the error suggests, and that it works."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from convnets.training import Recipe, fit, load
from convnets.training.data import Dataset, Split
from convnets.training.memory import out_of_memory

RECIPE = Recipe(epochs=1, batch_size=32, learning_rate=0.05)


@pytest.fixture(scope="module")
def few() -> Dataset:
    full = load("fashion-mnist-small")
    train = Split(full.train.images[:160], full.train.labels[:160])
    test = Split(full.test.images[:40], full.test.labels[:40])
    return replace(full, train=train, test=test)


def exhaust_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def exhaust_cpu() -> None:
    torch.empty(2**52)  # 16 PiB


class Limited(nn.Module):
    """Runs out of memory if it trains on more than `limit` images at once."""

    def __init__(self, limit: int, exhaust=exhaust_gpu) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
        self.limit, self.exhaust = limit, exhaust

    def forward(self, x):
        if self.training and len(x) > self.limit:
            self.exhaust()
        return self.net(x)


def fitted(net, data, **options):
    return fit(net, data, RECIPE, device="cpu", progress=False, **options)


@pytest.mark.parametrize("exhaust", [exhaust_gpu, exhaust_cpu])
def test_out_of_memory_names_a_batch_size_that_fits(few, exhaust):
    sentence = r"32 images .* 8 do: choose batch_size=8 .* or .* with accumulation_steps=4"
    with pytest.raises(MemoryError, match=sentence):
        fitted(Limited(10, exhaust), few)


@pytest.mark.parametrize("options", [{"batch_size": 8}, {"accumulation_steps": 4}])
def test_both_suggestions_fit(few, options):
    assert fitted(Limited(10), few, **options).step_losses


def test_the_suggestion_counts_the_accumulation_steps_there_are(few):
    sentence = r"16 images .* 8 do: choose batch_size=16 .* with accumulation_steps=4"
    with pytest.raises(MemoryError, match=sentence):
        fitted(Limited(10), few, accumulation_steps=2)


def test_the_suggested_accumulation_steps_divide_the_batch():
    error = out_of_memory(
        lambda size: Limited(12)(torch.zeros(size, 784)), 100, 1, 2, torch.device("cpu")
    )
    assert "12 do: choose batch_size=24 " in str(error)  # on two processes
    assert "accumulation_steps=10 " in str(error)


def test_a_network_that_is_too_large_for_one_image_is_reported(few):
    with pytest.raises(MemoryError, match=r"not even one image fits .* choose a smaller network"):
        fitted(Limited(0), few)


def test_other_errors_are_not_taken_for_a_lack_of_memory(few):
    def fail():
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        fitted(Limited(10, fail), few)


def test_accumulated_gradients_give_the_same_steps(few):
    one, four = (fitted("lenet5", few, accumulation_steps=parts) for parts in (1, 4))
    assert one.step_losses == pytest.approx(four.step_losses, abs=1e-4)
