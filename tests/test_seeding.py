import warnings

import pytest
import torch

from convnets.seeding import fixed_seed


def test_random_numbers_start_from_the_seed_and_go_on_afterwards():
    with fixed_seed(3):
        first = torch.rand(2)
    after = torch.rand(2)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(2), first)
    torch.manual_seed(0)  # as before the test
    assert torch.equal(torch.rand(2), after)


def test_the_state_comes_back_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(KeyError), fixed_seed(3):
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("gpus", [1, 2, 8])
def test_every_gpu_goes_on_as_before_without_a_warning(gpus, monkeypatch):
    states = dict.fromkeys(range(gpus), "before")
    monkeypatch.setattr(torch.random, "_fork_rng_warned_already", False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "get_rng_state", states.get)
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda state, device: states.update({device: state})
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fixed_seed(0):
            states.update(dict.fromkeys(states, "seeded"))
    assert set(states.values()) == {"before"}
