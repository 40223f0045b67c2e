"""Which earlier layers a DenseNet's layers read."""

import torch
from torch import Tensor, nn

from convnets.models.densenet import DenseLayer, DenseNet


def feature_reuse(net: nn.Module, block: int, relative: bool = True) -> Tensor:
    """Mean absolute weight by which each layer of a dense block reads each layer before it.

    Huang et al. (2017, section 5, "Feature reuse", and figure 5; lecture slide 59): "the average
    L1 norm (normalized by number of input feature-maps) of the weights connecting convolutional
    layer s to l". Here that is the mean of the absolute weights between the two: over the maps
    that s puts out, the maps that l makes, and the places of the kernel. A bottleneck layer reads
    with its 1x1 convolution. The scale of batch norm before the convolution is not in it, nor is
    it in the paper.

    The paper's colours run from 0 to 1, and it does not say how it scales; means are far below 1.
    Here, with `relative`, each target is divided by its largest source.

    Args:
        net: a DenseNet of this course.
        block: number of the dense block, from 1.
        relative: the largest source of each target is 1; else the means themselves.

    Returns:
        (L + 1, L + 1) for L layers in the block. Row s is a source: 0 the block's input, then its
        layers. Column l - 1 is a target: the layers 1 to L, then what follows the block (the
        transition; behind the last block the classifier). Where s does not come before l: NaN.

    Raises:
        ValueError: no DenseNet, no such block, or all weights of a target are zero.
    """
    if not isinstance(net, DenseNet):
        raise ValueError(
            f"feature reuse is for a DenseNet of this course, got a {type(net).__name__}; "
            "only there a layer's weights are sorted by the layer that they read"
        )
    blocks = sum(name.startswith("block") for name, _ in net.features.named_children())
    if not 1 <= block <= blocks:
        raise ValueError(f"this network has the dense blocks 1 to {blocks}, got {block}")
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
