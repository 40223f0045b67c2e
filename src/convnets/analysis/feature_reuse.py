"""Which earlier layers the layers of a DenseNet read."""

import torch
from torch import Tensor, nn

from convnets.models.densenet import DenseLayer, DenseNet


def feature_reuse(net: nn.Module, block: int, relative: bool = True) -> Tensor:
    """Mean absolute weight with which each layer of a dense block reads each layer before it.

    Huang et al. (2017, section 5, "Feature reuse", and figure 5; lecture slide 59): "the average
    L1 norm (normalized by number of input feature-maps) of the weights connecting convolutional
    layer s to l". Here that is the mean of the absolute weights between the two, over the output
    maps of s, the output maps of l and the places of the kernel. In a bottleneck layer the weights
    are those of its 1x1 convolution. As in the paper, the scale of the batch norm before the
    convolution is left out.

    The colours of the paper run from 0 to 1, and the paper does not state how they are scaled; the
    means are far below 1. Here, with `relative`, each target is divided by its largest source.

    Args:
        net: a DenseNet of this course.
        block: number of the dense block, from 1.
        relative: scale the largest source of each target to 1; otherwise return the means.

    Returns:
        (L + 1, L + 1) for the L layers of the block. Row s is a source: 0 is the block's input,
        then its layers follow. Column l - 1 is a target: the layers 1 to L, then what follows the
        block (the transition or, after the last block, the classifier). NaN where s does not come
        before l.

    Raises:
        ValueError: the network is not a DenseNet of this course, it has no such block, or, with
            `relative`, all weights of a target are zero.

    Example:
        >>> import convnets
        >>> feature_reuse(convnets.create_model("densenet40_12"), block=1).shape
        torch.Size([13, 13])
    """
    if not isinstance(net, DenseNet):
        raise ValueError(
            f"feature reuse is for a DenseNet of this course, got a {type(net).__name__}; "
            "only there the weights of a layer are sorted by the layer that they read"
        )
    blocks = sum(name.startswith("block") for name, _ in net.features.named_children())
    if not 1 <= block <= blocks:
        raise ValueError(f"this DenseNet has blocks 1 to {blocks}, got {block}")
    layers = list(net.features.get_submodule(f"block{block}").children())
    weights = [layer.conv1.weight for layer in layers if isinstance(layer, DenseLayer)]
    after = f"features.transition{block}.conv" if block < blocks else "classifier.fc"
    weights.append(net.get_parameter(f"{after}.weight"))
    first = weights[0].shape[1]
    growth = weights[1].shape[1] - first
    reuse = torch.full((len(weights), len(weights)), torch.nan)
    for target, weight in enumerate(weights):
        by_source = weight.detach().abs().split([first] + [growth] * target, dim=1)
        reuse[: target + 1, target] = torch.stack([part.mean() for part in by_source])
    if not relative:
        return reuse
    largest = reuse.nan_to_num(0).amax(dim=0)
    if (largest == 0).any():
        raise ValueError("a layer of this block has only zero weights; use relative=False")
    return reuse / largest
