"""Compound scaling: how to make a network larger in all respects at once.

Mingxing Tan, Quoc V. Le: "EfficientNet: rethinking model scaling for convolutional neural
networks", 2019, section 3.3. Lecture slide 65.

The idea: depth alone or width alone soon stops to help. Find once how fast depth, width and
resolution should grow, on a small network; then one number, phi, scales all three.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product


@dataclass(frozen=True)
class Scaling:
    """How much deeper, wider and finer a network is than its base: d, w and r of equation 3."""

    depth: float = 1.0
    width: float = 1.0
    resolution: float = 1.0

    @property
    def cost(self) -> float:
        """Factor of the multiply-accumulates."""
        return self.depth * self.width**2 * self.resolution**2


def compound_scaling(
    phi: float, alpha: float = 1.2, beta: float = 1.1, gamma: float = 1.15
) -> Scaling:
    """Equation 3: depth alpha^phi, width beta^phi, resolution gamma^phi.

    The default constants are the paper's; their cost, alpha * beta^2 * gamma^2, is 1.9203, so that
    each step of phi not quite doubles the multiply-accumulates.

    Raises:
        ValueError: a constant below 1, or a negative phi.
    """
    if min(alpha, beta, gamma) < 1 or phi < 0:
        raise ValueError(
            "scaling makes networks larger: alpha, beta and gamma must be at least 1 and phi at "
            f"least 0, got {alpha}, {beta}, {gamma} and {phi}"
        )
    return Scaling(alpha**phi, beta**phi, gamma**phi)


def grid_search(
    score: Callable[[Scaling], float], step: float = 0.05, tolerance: float = 0.1
) -> Scaling:
    """The alpha, beta, gamma of the best score (section 3.3, step 1: phi is 1).

    Args:
        score: the accuracy, say, of a base network that is scaled so; larger is better.
        step: distance of the points of the grid, which starts at 1.
        tolerance: how far from 2 the cost alpha * beta^2 * gamma^2 of a candidate may be. The
            paper's 1.9203 is 0.08 away.

    Raises:
        ValueError: a step that is not positive, or no point of the grid costs about 2.
    """
    if step <= 0:
        raise ValueError(f"step must be above 0, got {step}")
    points = [round(1 + number * step, 10) for number in range(int(1 / step) + 1)]
    candidates = [Scaling(*point) for point in product(points, repeat=3)]
    candidates = [point for point in candidates if abs(point.cost - 2) <= tolerance]
    if not candidates:
        raise ValueError(
            f"no point of a grid of step {step} costs 2 within {tolerance}; take a smaller step or "
            "a larger tolerance"
        )
    return max(candidates, key=score)
