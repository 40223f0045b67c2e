"""How much of the loss's gradient reaches each layer."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from convnets.analysis.observing import check_batch, observe, outside_inference, recording


def gradient_norms(net: nn.Module, images: Tensor, labels: Tensor) -> dict[str, float]:
    """Root mean square of the loss's gradient with respect to the weights of each layer.

    The loss is the mean cross-entropy. The mean square, rather than the sum, lets wide and narrow
    layers be compared. Glorot & Bengio (2010, section 4.2.2) compare layers in this way; lecture
    slide 9 names the vanishing gradient. The network runs in its own mode and is unchanged
    afterwards, including the gradients that its parameters hold.

    Args:
        net: a classifier, (N, C, H, W) -> (N, classes).
        images: a batch (N, C, H, W).
        labels: its classes (N,), integers.

    Returns:
        Name of each convolution and fully connected layer, in the order in which the network
        registers them, and the root mean square over its weights. No unit.

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
    weights = {
        name: module.weight
        for name, module in net.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
    }
    if not weights:
        raise ValueError("this network has neither convolutions nor fully connected layers")
    with recording():
        copies = {id(w): w.detach().clone().requires_grad_() for w in weights.values()}
        given = {f"{name}.weight": copies[id(weight)] for name, weight in weights.items()}
        scores = observe(net, images, weights=given, gradients=True)
        loss = cross_entropy(scores, outside_inference(labels))
        gradients = torch.autograd.grad(loss, list(given.values()))
    return {
        name: gradient.square().mean().sqrt().item()
        for name, gradient in zip(weights, gradients, strict=True)
    }
