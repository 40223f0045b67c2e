"""How a signal grows or fades in a deep network before training."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from convnets.layers import ACTIVATIONS

SAMPLES = 256
"""Number of inputs over which `signal_propagation` takes its statistics."""

INITIALIZATIONS: dict[str, Callable[..., Tensor]] = {
    "LeCun": partial(nn.init.kaiming_normal_, nonlinearity="linear"),
    "Xavier": nn.init.xavier_normal_,
    "Kaiming": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
    "N(0, 0.01²)": partial(nn.init.normal_, std=0.01),
}
"""Variance of a weight: 1 / fan_in (Klambauer et al., 2017, section 3), 2 / (fan_in + fan_out)
(Glorot & Bengio, 2010, equation 16), 2 / fan_in (He et al., 2015, equation 10), 0.0001 (Krizhevsky
et al., 2012, section 5)."""


@dataclass(frozen=True)
class SignalRow:
    """The outputs of one layer, after its activation, over all units and samples."""

    mean: float
    std: float

    @property
    def second_moment(self) -> float:
        """Mean of the squares, which Kaiming's initialisation preserves for ReLU."""
        return self.mean**2 + self.std**2


def signal_propagation(
    depth: int, width: int, activation: str, init: str, seed: int = 0
) -> list[SignalRow]:
    """Mean and standard deviation of the signal after each layer of an untrained network.

    The network is a stack of fully connected layers with `width` inputs and outputs and bias 0,
    each followed by the activation. Its input is 256 samples of `width` independent values from
    N(0, 1). Weights and samples are drawn on the CPU.

    In a very wide stack, SELU with LeCun keeps mean 0 and standard deviation 1 (Klambauer et al.,
    2017), ReLU with Kaiming keeps the second moment at 1 (He et al., 2015), ReLU with Xavier halves
    it in each layer, and tanh with Xavier fades slowly. The narrower and deeper the stack, the more
    a single draw deviates from this.

    Args:
        depth: number of layers, at least 1.
        width: units of each layer, at least 1.
        activation: a name in `convnets.layers.ACTIVATIONS`.
        init: a name in `INITIALIZATIONS`.
        seed: determines weights and samples.

    Returns:
        A row for each layer, after its activation. Values have no unit.

    Raises:
        ValueError: an unknown name, or a depth or width below 1.

    Example:
        >>> rows = signal_propagation(depth=10, width=100, activation="ReLU", init="Kaiming")
        >>> len(rows)
        10
    """
    if depth < 1 or width < 1:
        raise ValueError(f"depth and width must be at least 1, got {depth} and {width}")
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"unknown activation {activation!r}; choose one of {', '.join(ACTIVATIONS)}"
        )
    if init not in INITIALIZATIONS:
        raise ValueError(
            f"unknown initialisation {init!r}; choose one of {', '.join(INITIALIZATIONS)}"
        )
    random = torch.Generator().manual_seed(seed)
    signal = torch.randn(SAMPLES, width, generator=random)
    activate = ACTIVATIONS[activation]()
    rows = []
    with torch.no_grad():
        for _ in range(depth):
            weight = INITIALIZATIONS[init](torch.empty(width, width), generator=random)
            signal = activate(signal @ weight.T)
            values = signal.double()
            rows.append(SignalRow(values.mean().item(), values.std(correction=0).item()))
    return rows
