"""Fold batch norm into the convolution before it: fewer operations for the same function."""

import copy

from convnets.layers import ImageClassifier


def fuse(net: ImageClassifier) -> ImageClassifier:
    """A copy of `net` for inference, with every batch norm after a convolution folded into it.

    In evaluation mode a batch norm scales and shifts each channel by constants, which can be merged
    into the weights and the bias of the convolution before it. A batch norm that comes before its
    convolution, as in DenseNet, is kept. The outputs agree up to rounding; do not train the copy.

    Args:
        net: the network, in evaluation mode; it is not changed.

    Returns:
        The copy: (N, in_channels, H, W) -> (N, num_classes).

    Raises:
        ValueError: if `net` is in training mode, in which batch norm depends on the batch.

    Example:
        >>> import convnets
        >>> import torch
        >>> net = convnets.models.resnet20().eval()
        >>> image = torch.rand(1, 3, 32, 32)
        >>> torch.allclose(fuse(net)(image), net(image), atol=1e-5)
        True
    """
    if net.training:
        raise ValueError("batch norm is constant in evaluation mode only; call net.eval() first")
    from torch.fx.experimental import optimization  # slow to import

    fused = copy.deepcopy(net)
    fused.features = optimization.fuse(fused.features)
    return fused.eval()
