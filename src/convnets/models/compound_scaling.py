"""Compound scaling: make a network deeper, wider and finer at once.

Mingxing Tan, Quoc V. Le: "EfficientNet: rethinking model scaling for convolutional neural
networks", 2019, section 3.3. Lecture slide 65.

The idea: more depth or width alone soon stops helping. A search on a small network finds how fast
depth, width and resolution should grow; then a single number, phi, scales all three.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product


@dataclass(frozen=True)
class Scaling:
    """Factors of depth, width and resolution over a base network: d, w and r of equation 3."""

    depth: float = 1.0
    width: float = 1.0
    resolution: float = 1.0

    @property
    def cost(self) -> float:
        """Factor of the multiply-accumulate operations over the base network."""
        return self.depth * self.width**2 * self.resolution**2


def compound_scaling(
    phi: float, alpha: float = 1.2, beta: float = 1.1, gamma: float = 1.15
) -> Scaling:
    """The scaling of equation 3: depth alpha^phi, width beta^phi, resolution gamma^phi.

    >>> compound_scaling(1)
    Scaling(depth=1.2, width=1.1, resolution=1.15)

    The default constants are the paper's. Their cost alpha * beta^2 * gamma^2 is 1.9203, so adding
    1 to phi almost doubles the multiply-accumulate operations.

    Args:
        phi: the compound coefficient, at least 0.
        alpha: factor of the depth for each step of phi, at least 1.
        beta: factor of the width, at least 1.
        gamma: factor of the resolution, at least 1.

    Raises:
        ValueError: if a constant is below 1, or phi is negative.
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
    """The alpha, beta and gamma with the best score (section 3.3, step 1, where phi is 1).

    Args:
        score: returns the quality of a scaling, for example the accuracy of the base network scaled
            by it; larger is better.
        step: distance between neighbouring points of the grid, which starts at 1.
        tolerance: largest difference between 2 and the cost alpha * beta^2 * gamma^2 of a
            candidate. The paper's constants cost 1.9203.

    Raises:
        ValueError: if `step` is not positive, or no point of the grid is within the tolerance.
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
