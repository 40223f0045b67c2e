"""Which activations are saturated: so near a bound that hardly any gradient passes."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from convnets.analysis.watching import watch
from convnets.models.lenet import Squash

Bounds = tuple[float, float]

_BOUNDS: dict[type[nn.Module], Bounds] = {
    nn.Sigmoid: (0.0, 1.0),
    nn.Hardsigmoid: (0.0, 1.0),
    nn.Tanh: (-1.0, 1.0),
    nn.Softsign: (-1.0, 1.0),
    Squash: (-1.7159, 1.7159),
}


@dataclass(frozen=True)
class SaturationRow:
    """The outputs of one bounded activation over a batch of images."""

    name: str
    low: float
    """Share of the values within the margin of the lower bound."""
    high: float
    """Share of the values within the margin of the upper bound."""

    @property
    def share(self) -> float:
        return self.low + self.high


def saturation(
    net: nn.Module,
    images: Tensor,
    margin: float = 0.05,
    bounds: Mapping[type[nn.Module], Bounds] | None = None,
) -> list[SaturationRow]:
    """For each bounded activation the share of its outputs next to a bound.

    Glorot & Bengio (2010, section 3) show how deep sigmoid networks saturate. Known are sigmoid,
    tanh, softsign, LeNet's squashing, hard sigmoid, hard tanh and ReLU6; gates count too. ReLU and
    its kin have no upper bound: see `dead_units`. The network runs in the mode in which it is and
    is left as it was.

    Args:
        net: any network with modules for its activations.
        images: a batch (N, C, H, W).
        margin: how near is near, as a part of the distance between the bounds. With 0.05 a sigmoid
            is saturated below 0.05 and above 0.95, a tanh below -0.9 and above 0.9.
        bounds: lower and upper bound of activations of your own, by class.

    Returns:
        A row for each bounded activation, in the order in which they run.

    Raises:
        ValueError: the network has no bounded activation, there are no images, or the margin is not
            between 0 and 0.5.
    """
    if not 0 < margin < 0.5:
        raise ValueError(f"margin must be above 0 and below 0.5, got {margin}")
    known = {**_BOUNDS, **(bounds or {})}
    modules = dict(net.named_modules())
    ranges = {name: found for name, module in modules.items() if (found := _bounds(module, known))}
    if not ranges:
        raise ValueError(
            "this network has no bounded activation such as nn.Sigmoid() or nn.Tanh(), so nothing "
            "can saturate; for ReLU look at dead_units, for an activation of your own give bounds"
        )
    rows: list[SaturationRow] = []

    def see(name: str, output: Tensor) -> None:
        low, high = ranges[name]
        near = margin * (high - low)
        below, above = output <= low + near, output >= high - near
        rows.append(SaturationRow(name, below.float().mean().item(), above.float().mean().item()))

    watch(net, images, {name: modules[name] for name in ranges}, see)
    return rows


def _bounds(module: nn.Module, known: Mapping[type[nn.Module], Bounds]) -> Bounds | None:
    if isinstance(module, nn.Hardtanh):  # ReLU6 is one
        return module.min_val, module.max_val
    return next((found for kind, found in known.items() if isinstance(module, kind)), None)
