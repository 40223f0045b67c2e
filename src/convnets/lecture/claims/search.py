"""Slides 64 and 65: architecture search and EfficientNet."""

from functools import cache

from convnets.lecture.papers import COMPOUND_SCALING
from convnets.lecture.rows import Claim, text
from convnets.models.compound_scaling import Scaling, compound_scaling, grid_search
from convnets.registry import card
from convnets.search import Architecture, SearchSpace, reinforce

SPACE = SearchSpace(depth=2)
TRIALS = 80


def wide(architecture: Architecture) -> float:
    """A reward that needs no training: the mean width of the layers, from 0 to 1."""
    widest = max(SPACE.widths)
    widths = [layer.out_channels for layer in architecture.layers]
    return sum(widths) / len(widths) / widest


@cache
def first_and_last_rewards() -> tuple[float, float]:
    """Mean reward of the first and of the last quarter of the networks of one search."""
    rewards = [trial.reward for trial in reinforce(SPACE, wide, TRIALS)]
    quarter = TRIALS // 4
    return sum(rewards[:quarter]) / quarter, sum(rewards[-quarter:]) / quarter


def constants_are_a_point_of_the_grid() -> bool:
    """Whether the search space of section 3.3 contains the paper's constants."""
    wanted = Scaling(*COMPOUND_SCALING)
    return grid_search(lambda scaling: float(scaling == wanted)) == wanted


def costs_of_one_step() -> tuple[float, ...]:
    """Factors of the MACs by depth, width and resolution alone."""
    alpha, beta, gamma = COMPOUND_SCALING
    return tuple(
        round(each.cost, 2)
        for each in (Scaling(depth=alpha), Scaling(width=beta), Scaling(resolution=gamma))
    )


def growth() -> list[int]:
    """MACs of EfficientNet-B0 to B7."""
    return [card(f"efficientnet_b{number}").macs for number in range(8)]


CLAIMS = (
    Claim(
        64,
        "Another network learns to design networks by reinforcement learning",
        True,
        lambda: first_and_last_rewards()[0] < first_and_last_rewards()[1],
        lambda: (
            "Checked with the controller of `convnets.search` and a reward for wide layers: the "
            "first quarter of its networks get {:.2f} on average, the last quarter {:.2f}.".format(
                *first_and_last_rewards()
            )
        ),
    ),
    Claim(
        65,
        "The complexity can be increased in several ways",
        True,
        lambda: min(costs_of_one_step()) > 1,
        lambda: (
            "Scaling depth, width or resolution alone by the paper's constants takes "
            f"{text(costs_of_one_step())} times the multiply-accumulates."
        ),
    ),
    Claim(
        65,
        "The compound scaling factors come from a search",
        True,
        constants_are_a_point_of_the_grid,
        f"Tan and Le, 2019, section 3.3: {text(COMPOUND_SCALING)} for depth, width and resolution, "
        "from a grid with a step of 0.05.",
    ),
    Claim(
        65,
        "A rule scales the network up",
        True,
        lambda: growth() == sorted(growth()),
        lambda: (
            f"By the rule, each step multiplies the cost by {compound_scaling(1).cost:.2f}. B7 "
            f"costs {growth()[-1] / growth()[0]:.0f} times as much as B0."
        ),
    ),
)
