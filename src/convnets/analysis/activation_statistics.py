"""What flows through a network: mean, spread and share of zeros behind each layer."""

from dataclasses import dataclass

from torch import Tensor, nn

from convnets.analysis.watching import watch


@dataclass(frozen=True)
class ActivationRow:
    """The outputs of one layer over a batch of images."""

    name: str
    mean: float
    std: float
    """Standard deviation of all values together, whatever their image, map and place."""
    zeros: float
    """Share of the values that are exactly zero."""


def activation_statistics(net: nn.Module, images: Tensor) -> list[ActivationRow]:
    """Mean, standard deviation and share of zeros of each layer's output.

    Glorot & Bengio (2010, section 4.2) look at networks in this way. Layers are the modules without
    children; what a network does between them (an addition, a function in place of a module) has no
    row. A module that is called twice has two rows. The network runs in the mode in which it is:
    in training mode batch norm uses this batch. All else is left as it is.

    Args:
        net: any network that takes images.
        images: a batch (N, C, H, W).

    Returns:
        A row for each layer, in the order in which they run. Values have no unit.

    Raises:
        ValueError: there are no images, or a layer returns something else than a tensor.
    """
    rows: list[ActivationRow] = []

    def see(name: str, output: Tensor) -> None:
        zeros = (output == 0).float().mean().item()
        values = output.double()
        rows.append(
            ActivationRow(name, values.mean().item(), values.std(correction=0).item(), zeros)
        )

    layers = {name: module for name, module in net.named_modules() if not any(module.children())}
    watch(net, images, layers, see)
    return rows
