"""How wide squeeze-and-excitation opens each channel, by class."""

import torch
from torch import Tensor, nn

from convnets.analysis.watching import check_batch, watch
from convnets.layers import SqueezeExcite


def excitations(net: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Mean gate of each channel, for each squeeze-and-excitation layer and class.

    Hu et al. (2018, section 6.4, "The role of excitation", and figure 5): early layers gate all
    classes alike, late ones tell them apart. The network runs in evaluation mode and is left as it
    was.

    Args:
        net: a network with `SqueezeExcite` layers: SENet, EfficientNet.
        images: a batch (N, C, H, W).
        labels: its classes (N,), integers.

    Returns:
        Name of each layer, from input to output (it tells stage and block), and its gates
        (classes, channels), each from 0 to 1. Row k is for class `labels.unique()[k]`: the classes
        of this batch in ascending order.

    Raises:
        ValueError: the network has no such layer, or images and labels do not fit.
    """
    check_batch(images, labels)
    gates = {
        name: module.gate
        for name, module in net.named_modules()
        if isinstance(module, SqueezeExcite)
    }
    if not gates:
        raise ValueError(
            "this network has no squeeze-and-excitation layer; take a SENet or an EfficientNet"
        )
    members = [labels == label for label in labels.unique()]
    means: dict[str, Tensor] = {}

    def see(name: str, output: Tensor) -> None:
        opened = output.flatten(1)  # N x channels
        means[name] = torch.stack([opened[own].mean(dim=0) for own in members])

    watch(net, images, gates, see, evaluate=True)
    return means
