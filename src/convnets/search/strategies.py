"""Search strategies: REINFORCE, and random search as its control.

Both compute the reward of an architecture once and reuse it. An architecture with too many
parameters gets the reward 0 without being trained.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch.optim import Adam

from convnets.search.controller import Controller
from convnets.search.space import Architecture, SearchSpace
from convnets.seeding import fixed_seed
from convnets.training import Dataset, Recipe, fit

Reward = Callable[[Architecture], float]
"""Computes the reward of an architecture, for example its validation accuracy between 0 and 1."""

BASELINE_DECAY = 0.8
"""Weight of the earlier rewards in the moving average that REINFORCE subtracts."""


@dataclass(frozen=True)
class Trial:
    """One architecture that a search sampled."""

    architecture: Architecture
    parameters: int
    reward: float
    is_new: bool
    """Whether its reward was computed for this trial; `False` if it had been sampled before."""


@dataclass
class Evaluator:
    """Computes rewards, each only once, within a limit on the number of parameters."""

    reward: Reward
    max_parameters: int | None = None
    rewards: dict[Architecture, float] = field(default_factory=dict)

    def __call__(self, architecture: Architecture) -> Trial:
        """Look up the reward of the architecture, or compute it."""
        is_new = architecture not in self.rewards
        parameters = architecture.parameters()
        if is_new:
            over = self.max_parameters is not None and parameters > self.max_parameters
            self.rewards[architecture] = 0.0 if over else self.reward(architecture)
        return Trial(architecture, parameters, self.rewards[architecture], is_new)


def reinforce(
    space: SearchSpace,
    reward: Reward,
    trials: int,
    max_parameters: int | None = None,
    batch_size: int = 4,
    learning_rate: float = 0.01,
    seed: int = 0,
) -> list[Trial]:
    """Search with a controller that is trained by REINFORCE (Williams, 1992).

    The gradient is that of section 3.2 of Zoph and Le (2017): that of the log-probability, times
    the reward minus a baseline, which is a moving average of earlier rewards.

    Args:
        space: What to search.
        reward: What to maximise.
        trials: Number of architectures to sample, repeated ones included.
        max_parameters: Architectures with more parameters get the reward 0; `None` for no limit.
        batch_size: Architectures for each update of the controller.
        learning_rate: Learning rate of Adam. The paper's 0.0006 is for thousands of trials.
        seed: Seed of the controller's weights and decisions.

    Returns:
        The trials, in the order in which they were sampled.

    Raises:
        ValueError: Fewer than one trial, or a batch smaller than one.

    Example:
        >>> from convnets.search.space import SearchSpace
        >>> trials = reinforce(SearchSpace(), lambda child: -child.parameters(), trials=8)
        >>> min(trial.parameters for trial in trials) < 20_000
        True
    """
    _check(trials, batch_size)
    evaluator = Evaluator(reward, max_parameters)
    done: list[Trial] = []
    baseline: float | None = None
    with fixed_seed(seed):
        controller = Controller(space)
        optimizer = Adam(controller.parameters(), lr=learning_rate)
        while len(done) < trials:
            samples = [controller() for _ in range(min(batch_size, trials - len(done)))]
            results = [evaluator(space.architecture(sample.decisions)) for sample in samples]
            done += results
            rewards = [trial.reward for trial in results]
            mean = sum(rewards) / len(rewards)
            baseline = mean if baseline is None else baseline
            loss = torch.stack(
                [
                    -(value - baseline) * sample.log_probability
                    for value, sample in zip(rewards, samples, strict=True)
                ]
            ).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            baseline = BASELINE_DECAY * baseline + (1 - BASELINE_DECAY) * mean
    return done


def random_search(
    space: SearchSpace,
    reward: Reward,
    trials: int,
    max_parameters: int | None = None,
    seed: int = 0,
) -> list[Trial]:
    """Sample architectures uniformly: the control that a search has to beat.

    Args:
        space: What to search.
        reward: What to maximise.
        trials: Number of architectures to sample, repeated ones included.
        max_parameters: Architectures with more parameters get the reward 0; `None` for no limit.
        seed: Seed of the decisions.

    Returns:
        The trials, in the order in which they were sampled.

    Raises:
        ValueError: Fewer than one trial.

    Example:
        >>> from convnets.search.space import SearchSpace
        >>> trials = random_search(SearchSpace(), lambda child: -child.parameters(), trials=10)
        >>> len(trials), trials[0].reward == -trials[0].parameters
        (10, True)
    """
    _check(trials, batch_size=1)
    evaluator = Evaluator(reward, max_parameters)
    generator = torch.Generator().manual_seed(seed)
    return [
        evaluator(
            space.architecture(
                [int(torch.randint(len(o), (), generator=generator)) for o in space.options]
            )
        )
        for _ in range(trials)
    ]


def train_and_validate(
    data: Dataset | str = "fashion-mnist-small", recipe: Recipe | str = "modern", epochs: int = 1
) -> Reward:
    """Make a reward: the accuracy of the trained child network on held-out training images.

    The test images are not used, so they can measure the best architecture afterwards.

    Args:
        data: Images to train on, or the name of a data set.
        recipe: How to train, or the name of a recipe.
        epochs: Epochs of training; the reward is the highest accuracy after any of them.

    Example:
        >>> from convnets.search.space import SearchSpace
        >>> reward = train_and_validate("fashion-mnist-small")
        >>> 0 <= reward(SearchSpace(depth=1).architecture([0, 0, 1])) <= 1
        True
    """

    def reward(architecture: Architecture) -> float:
        record = fit(architecture.build(), data, recipe, epochs, progress=False)
        return max(epoch.validation_accuracy for epoch in record.epochs)

    return reward


def _check(trials: int, batch_size: int) -> None:
    if trials < 1 or batch_size < 1:
        raise ValueError(f"trials and batch_size must be at least 1, got {trials} and {batch_size}")
