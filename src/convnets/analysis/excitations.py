"""How far squeeze-and-excitation opens each channel, by class."""

import torch
from torch import Tensor, nn

from convnets.analysis.observing import check_batch, observe
from convnets.layers import SqueezeExcite


def excitations(net: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Mean gate of each channel, for each squeeze-and-excitation layer and class.

    Hu et al. (2018, section 6.4, "The role of excitation", and figure 5): early layers gate all
    classes alike, late ones distinguish them. The network runs in evaluation mode and is unchanged
    afterwards.

    Args:
        net: a network with `SqueezeExcite` layers: SENet, EfficientNet.
        images: a batch (N, C, H, W).
        labels: its classes (N,), integers.

    Returns:
        Name of each layer, in the order in which they run (a name contains stage and block), and
        its gates (classes, channels), each from 0 to 1. Row k is for class `labels.unique()[k]`:
        the classes of this batch in ascending order.

    Raises:
        ValueError: the network has no such layer, the batch is empty, or images and labels do not
            fit.

    Example:
        >>> import convnets
        >>> net = convnets.create_model("se_resnet18", num_classes=10, small_input=True)
        >>> gates = excitations(net, torch.rand(4, 3, 32, 32), torch.tensor([0, 0, 1, 2]))
        >>> next(iter(gates.values())).shape
        torch.Size([3, 64])
    """
    check_batch(images, labels)
    gates = {
        name: module.gate
        for name, module in net.named_modules()
        if isinstance(module, SqueezeExcite)
    }
    if not gates:
        raise ValueError(
            "this network has no squeeze-and-excitation layer; choose a SENet or an EfficientNet"
        )
    members = [labels == label for label in labels.unique()]
    means: dict[str, Tensor] = {}

    def leave(name: str, output: Tensor) -> None:
        opened = output.flatten(1)  # (N, channels)
        means[name] = torch.stack([opened[own].mean(dim=0) for own in members])

    observe(net, images, gates, leave, evaluate=True)
    return means
