"""How to search: REINFORCE, and random search as its control.

Both ask for the reward of an architecture once, remember it, and give an architecture over the
parameter budget the reward 0 without training it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch.optim import Adam

from convnets.search.controller import Controller
from convnets.search.space import Architecture, SearchSpace
from convnets.training import Dataset, Recipe, fit

Reward = Callable[[Architecture], float]
"""Reward of a child, for example its validation accuracy between 0 and 1."""

BASELINE_MEMORY = 0.8


@dataclass(frozen=True)
class Trial:
    """One child that a search looked at."""

    architecture: Architecture
    parameters: int
    reward: float
    is_new: bool
    """Whether its reward had to be found out; `False` for a child seen before."""


@dataclass
class Judge:
    """Rewards with a memory and a parameter budget."""

    reward: Reward
    max_parameters: int | None = None
    seen: dict[Architecture, float] = field(default_factory=dict)

    def __call__(self, architecture: Architecture) -> Trial:
        is_new = architecture not in self.seen
        parameters = architecture.parameters()
        if is_new:
            over = self.max_parameters is not None and parameters > self.max_parameters
            self.seen[architecture] = 0.0 if over else self.reward(architecture)
        return Trial(architecture, parameters, self.seen[architecture], is_new)


def reinforce(
    space: SearchSpace,
    reward: Reward,
    trials: int,
    max_parameters: int | None = None,
    batch: int = 4,
    learning_rate: float = 0.01,
    seed: int = 0,
) -> list[Trial]:
    """Train a controller by REINFORCE (Williams, 1992); the children in the order of their birth.

    The gradient is that of the paper's section 3.2: log probability times reward above a baseline,
    which is the moving average of earlier rewards.

    Args:
        space: what to search.
        reward: what to maximise.
        trials: number of children, seen ones included.
        max_parameters: children with more get the reward 0.
        batch: children for each update of the controller.
        learning_rate: of Adam; the paper's 0.0006 is for thousands of children.
        seed: of the controller's initialisation and choices.

    Raises:
        ValueError: fewer than one trial, or a batch below one.
    """
    _check(trials, batch)
    judge = Judge(reward, max_parameters)
    history: list[Trial] = []
    baseline: float | None = None
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        controller = Controller(space)
        optimizer = Adam(controller.parameters(), lr=learning_rate)
        while len(history) < trials:
            samples = [controller() for _ in range(min(batch, trials - len(history)))]
            results = [judge(space.architecture(sample.decisions)) for sample in samples]
            history += results
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
            baseline = BASELINE_MEMORY * baseline + (1 - BASELINE_MEMORY) * mean
    return history


def random_search(
    space: SearchSpace,
    reward: Reward,
    trials: int,
    max_parameters: int | None = None,
    seed: int = 0,
) -> list[Trial]:
    """Children drawn uniformly: the control that a search has to beat.

    Args and errors as in `reinforce`.
    """
    _check(trials, batch=1)
    judge = Judge(reward, max_parameters)
    generator = torch.Generator().manual_seed(seed)
    return [
        judge(
            space.architecture(
                [int(torch.randint(len(o), (), generator=generator)) for o in space.options]
            )
        )
        for _ in range(trials)
    ]


def train_and_validate(
    data: Dataset | str = "fashion-mnist-small", recipe: Recipe | str = "modern", epochs: int = 1
) -> Reward:
    """A reward: train the child on real images, take its accuracy on held-out training images.

    The test images stay untouched, so that they can measure the winner.
    """

    def reward(architecture: Architecture) -> float:
        history = fit(architecture.build(), data, recipe, epochs, progress=False)
        return max(epoch.validation_accuracy for epoch in history.epochs)

    return reward


def _check(trials: int, batch: int) -> None:
    if trials < 1 or batch < 1:
        raise ValueError(f"a search needs at least one trial and batch, got {trials} and {batch}")
