"""What flows through a network: mean, spread and share of zeros after each layer."""

from dataclasses import dataclass

from torch import Tensor, nn

from convnets.analysis.observing import leaf_modules, observe


@dataclass(frozen=True)
class ActivationRow:
    """The outputs of one layer over a batch of images."""

    name: str
    mean: float
    std: float
    """Standard deviation over all values together: images, maps and places."""
    zeros: float
    """Share of the values that are exactly zero."""


def activation_statistics(net: nn.Module, images: Tensor) -> list[ActivationRow]:
    """Mean, standard deviation and share of zeros of each layer's output.

    Glorot & Bengio (2010, section 4.2) look at networks in this way. Layers are the modules without
    children; what a network computes between them (an addition, a call of a function) has no row. A
    module that is called twice has two rows. The network runs in its own mode, so that batch norm
    in training mode uses this batch, and is unchanged afterwards.

    Args:
        net: any network.
        images: a batch (N, C, H, W).

    Returns:
        A row for each layer, in the order in which they run. Values have no unit.

    Raises:
        ValueError: the batch is empty, or a layer returns something other than a tensor.

    Example:
        >>> import convnets
        >>> import torch
        >>> rows = activation_statistics(convnets.create_model("lenet5"), torch.rand(2, 1, 32, 32))
        >>> rows[0].name
        'features.c1'
    """
    rows: list[ActivationRow] = []

    def leave(name: str, output: Tensor) -> None:
        zeros = (output == 0).float().mean().item()
        values = output.double()
        rows.append(
            ActivationRow(name, values.mean().item(), values.std(correction=0).item(), zeros)
        )

    observe(net, images, leaf_modules(net), leave)
    return rows
