import math
from statistics import mean

import pytest
import torch

from convnets.search import (
    Architecture,
    Controller,
    LayerChoice,
    SearchSpace,
    random_search,
    reinforce,
    train_and_validate,
)
from convnets.training import load
from convnets.training.data import Split

SPACE = SearchSpace(depth=3)


def share_of_5x5(architecture: Architecture) -> float:
    return mean(layer.kernel_size == 5 for layer in architecture.layers)


def test_the_size_of_the_space_is_the_number_of_its_architectures():
    assert SPACE.size == (3 * 3 * 2) ** 3
    assert len(SPACE.options) == 9


def test_decisions_describe_an_architecture():
    architecture = SPACE.architecture([0, 1, 0, 2, 2, 1, 1, 0, 0])
    assert architecture.layers == (
        LayerChoice(1, 16, 1),
        LayerChoice(5, 32, 2),
        LayerChoice(3, 8, 1),
    )


def test_a_child_has_features_and_a_head_like_every_network():
    child = SPACE.architecture([2, 2, 1] * 3).build(num_classes=7, in_channels=3)
    assert child(torch.randn(2, 3, 28, 30)).shape == (2, 7)
    assert child.features(torch.randn(2, 3, 28, 28)).shape == (2, 32, 4, 4)


def test_the_number_of_parameters_of_a_child_follows_the_formula():
    architecture = Architecture((LayerChoice(3, 8, 1),))
    assert architecture.parameters(num_classes=10, in_channels=1) == 9 * 8 + 2 * 8 + 8 * 10 + 10


def test_the_first_decisions_of_a_controller_are_almost_uniform():
    sample = Controller(SPACE)()
    uniform = mean(math.log(len(options)) for options in SPACE.options)
    assert sample.entropy.item() == pytest.approx(uniform, rel=0.01)
    assert sample.log_probability.requires_grad


def test_every_part_of_the_controller_has_a_gradient():
    controller = Controller(SPACE)
    sum(controller().log_probability for _ in range(20)).backward()
    untouched = {"embeddings.8.weight"}  # nothing follows the last decision
    for name, parameter in controller.named_parameters():
        assert (parameter.grad is None) == (name in untouched), name


@pytest.mark.slow
def test_reinforce_learns_to_get_rewards_and_random_search_does_not():
    learned = reinforce(SPACE, share_of_5x5, trials=400, learning_rate=0.03)
    control = random_search(SPACE, share_of_5x5, trials=400)
    assert mean(trial.reward for trial in learned[-80:]) > 0.9
    assert mean(trial.reward for trial in control[-80:]) < 0.5


def test_the_reward_of_an_architecture_is_computed_only_once():
    asked = []

    def reward(architecture):
        asked.append(architecture)
        return 0.5

    tiny = SearchSpace(depth=1, kernel_sizes=(1, 3), widths=(8,), strides=(1,))
    trials = random_search(tiny, reward, trials=20)
    assert len(asked) == len(set(asked)) == 2
    assert sum(trial.is_new for trial in trials) == 2


def test_an_architecture_with_too_many_parameters_gets_no_reward_and_is_not_trained():
    def reward(architecture):
        assert architecture.parameters() <= 2000
        return 1.0

    trials = reinforce(SPACE, reward, trials=40, max_parameters=2000)
    assert {trial.reward for trial in trials if trial.parameters > 2000} == {0.0}
    assert {trial.reward for trial in trials if trial.parameters <= 2000} == {1.0}


@pytest.mark.parametrize("search", [reinforce, random_search])
def test_a_search_with_the_same_seed_gives_the_same_trials(search):
    first, second = (search(SPACE, share_of_5x5, trials=12, seed=4) for _ in range(2))
    assert first == second
    assert first != search(SPACE, share_of_5x5, trials=12, seed=5)


def test_the_reward_of_train_and_validate_is_better_than_guessing():
    full = load("fashion-mnist-small")
    few = type(full)(
        full.name,
        Split(full.train.images[:1280], full.train.labels[:1280]),
        Split(full.test.images[:100], full.test.labels[:100]),
        full.classes,
        full.source,
    )
    reward = train_and_validate(few, epochs=2)(SPACE.architecture([1, 1, 1] * 3))
    assert 0.15 < reward <= 1


def test_impossible_spaces_and_searches_raise_errors():
    with pytest.raises(ValueError, match="must be odd"):
        SearchSpace(kernel_sizes=(2,))
    with pytest.raises(ValueError, match="at least one layer"):
        SearchSpace(depth=0)
    with pytest.raises(ValueError, match="takes 9 decisions, got 3"):
        SPACE.architecture([0, 0, 0])
    with pytest.raises(ValueError, match="trials and batch_size must be at least 1, got 0"):
        random_search(SPACE, share_of_5x5, trials=0)
