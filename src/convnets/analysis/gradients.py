"""How much of the loss's gradient reaches each layer."""

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy


def gradient_norms(net: nn.Module, images: Tensor, labels: Tensor) -> dict[str, float]:
    """Root mean square of the loss's gradient by the weights of each layer, from input to output.

    The network is left as it is, its mode and its batch norms' statistics too.

    Args:
        net: a classifier (N, C, H, W) -> (N, classes).
        images: a batch (N, C, H, W).
        labels: its classes (N,).

    Returns:
        For each convolution and fully connected layer its name and the root mean square over its
        weights' gradients; a mean, so that wide and narrow layers compare.

    Raises:
        ValueError: the network has neither convolutions nor fully connected layers.
    """
    weights = {
        name: module.weight
        for name, module in net.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
    }
    if not weights:
        raise ValueError("this network has no convolution and no fully connected layer to look at")
    statistics = {name: buffer.clone() for name, buffer in net.named_buffers()}
    with torch.random.fork_rng():
        loss = cross_entropy(functional_call(net, statistics, (images,)), labels)
    gradients = torch.autograd.grad(loss, list(weights.values()))
    return {
        name: gradient.square().mean().sqrt().item()
        for name, gradient in zip(weights, gradients, strict=True)
    }
