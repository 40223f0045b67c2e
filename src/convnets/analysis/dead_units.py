"""Which activations are silent: dead for every image, or for most."""

from dataclasses import dataclass

from torch import Tensor, nn

from convnets.analysis.activation_calls import ActivationCall, observe_activations
from convnets.layers import SqueezeExcite


@dataclass(frozen=True)
class UnitRow:
    """The inputs of one activation over a batch of images."""

    name: str
    dead: float
    """Share of the maps whose input is not positive at any place of any image."""
    inactive: float
    """Share of all values that are not positive."""


def dead_units(net: nn.Module, images: Tensor) -> list[UnitRow]:
    """For each activation, the share of dead maps and of inactive values.

    A unit is a map (C in (N, C, H, W)) or a feature (C in (N, C)). What counts is the input of the
    activation, so that ReLU and its variants can be compared: a ReLU whose input is never positive
    is always zero and gets no gradient; an ELU there still gets one (lecture slide 11).

    Activations are found as modules and as functions of PyTorch. The sigmoids of
    squeeze-and-excitation do not count: they are gates, and one with a negative input still lets
    up to half of the signal through. See `excitations` for those. The activation between the two
    layers of squeeze-and-excitation does count. The network runs in its own mode and is unchanged
    afterwards.

    Args:
        net: any network.
        images: a batch (N, C, H, W).

    Returns:
        A row for each call of an activation, in the order in which they run, named after its
        module. Shares are from 0 to 1.

    Raises:
        ValueError: the batch is empty, or the network calls no activation function of PyTorch.

    Example:
        >>> import convnets
        >>> import torch
        >>> net = convnets.create_model("vgg11", num_classes=10, small_input=True)
        >>> len(dead_units(net, torch.rand(2, 3, 32, 32)))
        10
    """
    gates = {
        ".".join(filter(None, (name, "gate")))
        for name, module in net.named_modules()
        if isinstance(module, SqueezeExcite)
    }
    rows: list[UnitRow] = []

    def see(call: ActivationCall) -> None:
        if call.name not in gates:
            silent = call.input <= 0
            units = silent.transpose(0, 1).flatten(1)  # (C, N * H * W)
            dead, inactive = units.all(dim=1).float().mean(), silent.float().mean()
            rows.append(UnitRow(call.name, dead.item(), inactive.item()))

    observe_activations(net, images, see)
    if not rows:
        raise ValueError(
            "this network calls no activation function of PyTorch; use a module such as nn.ReLU() "
            "or a function such as torch.relu"
        )
    return rows
