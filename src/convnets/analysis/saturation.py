"""Which activations are saturated: so near a bound that hardly any gradient passes."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from convnets.analysis.activation_calls import ActivationCall, Bounds, observe_activations


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
        """Share of the values within the margin of either bound."""
        return self.low + self.high


def saturation(
    net: nn.Module,
    images: Tensor,
    margin: float = 0.05,
    bounds: Mapping[type[nn.Module], Bounds] | None = None,
) -> list[SaturationRow]:
    """For each bounded activation, the share of its outputs next to a bound.

    Glorot & Bengio (2010, section 3) show how deep sigmoid networks saturate. The bounded
    activations of PyTorch are sigmoid, tanh, softsign, hard sigmoid, hard tanh and ReLU6; they are
    found as modules and as functions, also inside modules such as LeNet's scaled tanh. The gates of
    squeeze-and-excitation count too: a gate next to a bound is always closed or always open. ReLU
    and its variants have no upper bound; see `dead_units` for those. The network runs in its own
    mode and is unchanged afterwards.

    Args:
        net: any network.
        images: a batch (N, C, H, W).
        margin: how near is near, as a share of the distance between the bounds. With 0.05 a sigmoid
            is saturated below 0.05 and above 0.95, a tanh below -0.9 and above 0.9.
        bounds: lower and upper bound of the outputs of further activation modules, by class. These
            modules have no submodules, and calls inside them do not count.

    Returns:
        A row for each call of a bounded activation, in the order in which they run, named after its
        module. Shares are from 0 to 1.

    Raises:
        ValueError: the margin is not between 0 and 0.5, the batch is empty, or the network has no
            bounded activation.

    Example:
        >>> import convnets
        >>> import torch
        >>> rows = saturation(convnets.create_model("lenet5"), torch.rand(2, 1, 32, 32))
        >>> len(rows)
        6
    """
    if not 0 < margin < 0.5:
        raise ValueError(f"margin must be above 0 and below 0.5, got {margin}")
    given = {
        name: limits
        for name, module in net.named_modules()
        for kind, limits in (bounds or {}).items()
        if isinstance(module, kind)
    }
    rows: list[SaturationRow] = []

    def add(name: str, output: Tensor, limits: Bounds) -> None:
        low, high = limits
        near = margin * (high - low)
        below, above = output <= low + near, output >= high - near
        rows.append(SaturationRow(name, below.float().mean().item(), above.float().mean().item()))

    def see(call: ActivationCall) -> None:
        if call.bounds is not None and call.name not in given:
            add(call.name, call.output, call.bounds)

    def leave(name: str, output: Tensor) -> None:
        if name in given:
            add(name, output, given[name])

    observe_activations(net, images, see, leave)
    if not rows:
        raise ValueError(
            "this network has no bounded activation such as nn.Sigmoid() or nn.Tanh(), so nothing "
            "can saturate; for ReLU use dead_units, for an activation of your own pass its bounds"
        )
    return rows
