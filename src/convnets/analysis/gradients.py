"""How much of the loss's gradient reaches each layer."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parametrize

from convnets.analysis.observing import check_batch, observe, outside_inference, recording


def gradient_norms(net: nn.Module, images: Tensor, labels: Tensor) -> dict[str, float]:
    """Root mean square of the loss's gradient with respect to the weights of each layer.

    The loss is the mean cross-entropy. The mean square, rather than the sum, lets wide and narrow
    layers be compared. Glorot & Bengio (2010, section 4.2.2) compare layers in this way; lecture
    slide 9 names the vanishing gradient. A weight that is computed from other parameters, as by
    weight normalisation or pruning, counts as the layer uses it. The network runs in its own mode
    and is unchanged afterwards, including the gradients that its parameters hold.

    Args:
        net: a classifier, (N, C, H, W) -> (N, classes).
        images: a batch (N, C, H, W).
        labels: its classes (N,), integers.

    Returns:
        Name of each convolution and fully connected layer, in the order in which the network
        registers them, and the root mean square over its weights; 0 if the loss does not depend on
        them. No unit.

    Raises:
        ValueError: the network has neither convolutions nor fully connected layers, the batch is
            empty, or images and labels do not fit.

    Example:
        >>> import convnets
        >>> net = convnets.create_model("lenet5")
        >>> norms = gradient_norms(net, torch.rand(4, 1, 32, 32), torch.arange(4))
        >>> list(norms)[0]
        'features.c1'
    """
    check_batch(images, labels)
    layers = {
        name: module
        for name, module in net.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
    }
    if not layers:
        raise ValueError("this network has neither convolutions nor fully connected layers")
    used: dict[str, Tensor] = {}

    def leave(name: str, output: Any) -> None:
        used.update((name, layer.weight) for name, layer in layers.items())

    with recording(), parametrize.cached():
        given = {
            name: parameter.detach().clone().requires_grad_()
            for name, parameter in net.named_parameters()
            if parameter.is_floating_point()
        }
        scores = observe(net, images, {"": net}, leave, weights=given, gradients=True)
        loss = cross_entropy(scores, outside_inference(labels))
        gradients = torch.autograd.grad(loss, list(used.values()), materialize_grads=True)
    return {
        name: gradient.square().mean().sqrt().item()
        for name, gradient in zip(used, gradients, strict=True)
    }
