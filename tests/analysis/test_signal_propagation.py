from itertools import pairwise

import pytest
import torch

from convnets.analysis import INITIALIZATIONS, signal_propagation
from convnets.layers import ACTIVATIONS


def test_selu_with_lecun_stays_at_mean_0_and_std_1():
    rows = signal_propagation(50, 256, "SELU", "LeCun")
    assert len(rows) == 50
    for row in rows:
        assert row.mean == pytest.approx(0, abs=0.1)
        assert row.std == pytest.approx(1, abs=0.15)


def test_relu_with_kaiming_keeps_its_second_moment():
    rows = signal_propagation(10, 1024, "ReLU", "Kaiming")
    for row in rows:
        assert row.second_moment == pytest.approx(1, rel=0.25)


def test_relu_with_xavier_halves_its_second_moment_in_each_layer():
    rows = signal_propagation(10, 1024, "ReLU", "Xavier")
    for before, after in pairwise(rows):
        assert after.second_moment / before.second_moment == pytest.approx(0.5, rel=0.2)
    assert rows[9].second_moment / rows[0].second_moment == pytest.approx(0.5**9, rel=0.3)


def test_the_signal_fades_slowly_with_tanh_and_xavier():
    rows = signal_propagation(50, 256, "tanh", "Xavier")
    assert rows[0].std > rows[9].std > rows[49].std
    assert rows[49].second_moment == pytest.approx(1 / (2 * 50), rel=0.3)  # tanh(x) ~ x - x³/3
    assert rows[49].std > 1e4 * signal_propagation(50, 256, "ReLU", "Xavier")[49].std


def test_the_signal_fades_in_a_deep_network_with_alexnets_initialisation():
    assert signal_propagation(20, 256, "ReLU", "N(0, 0.01²)")[-1].std < 1e-12


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("init", INITIALIZATIONS)
def test_every_pair_works_and_depends_on_the_seed_alone(activation, init):
    random = torch.get_rng_state()
    first = signal_propagation(2, 16, activation, init, seed=1)
    assert first == signal_propagation(2, 16, activation, init, seed=1)
    assert first != signal_propagation(2, 16, activation, init, seed=2)
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 8, "ReLU", "Xavier"), "at least 1"),
        ((2, 0, "ReLU", "Xavier"), "at least 1"),
        ((2, 8, "relu", "Xavier"), "unknown activation 'relu'"),
        ((2, 8, "ReLU", "He"), "unknown initialisation 'He'"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        signal_propagation(*arguments)
