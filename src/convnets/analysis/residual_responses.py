"""How much each residual branch adds to its shortcut."""

from torch import Tensor, nn

from convnets.analysis.observing import observe
from convnets.models.efficientnet import MBConv
from convnets.models.inception_resnet import ScaledResidual
from convnets.models.mobilenet_v2 import InvertedResidual
from convnets.models.resnext import EarlyConcatenation, SplitTransformMerge
from convnets.models.shufflenet import HalvingShuffleUnit


def residual_responses(net: nn.Module, images: Tensor) -> dict[str, float]:
    """Standard deviation of what each residual branch adds to its shortcut.

    He et al. (2016, "Deep residual learning for image recognition", section 4.2 and figure 7) show
    it for every 3x3 layer, after its batch norm: in deeper residual networks each layer changes the
    signal less. Here it is the output of the whole branch as it enters the addition. In a ResNet
    that is the output of the last batch norm; with pre-activation, that of the last convolution; in
    SENet it is gated; in Inception-ResNet it is scaled. Units that concatenate add nothing and do
    not count. The network runs in its own mode (call `net.eval()` first for a trained one) and is
    unchanged afterwards.

    Args:
        net: a residual network of this course, or one with blocks that keep their branch as a
            module `residual` and add its output.
        images: a batch (N, C, H, W).

    Returns:
        Name of each block, in the order in which they run, and the standard deviation of all values
        that its branch adds, over images, maps and places. No unit.

    Raises:
        ValueError: the network has no residual branch, or the batch is empty.

    Example:
        >>> import convnets
        >>> import torch
        >>> net = convnets.create_model("resnet20")
        >>> responses = residual_responses(net, torch.rand(2, 3, 32, 32))
        >>> len(responses)
        9
    """
    branches = {name: branch for name, block in net.named_modules() if (branch := _branch(block))}
    if not branches:
        raise ValueError(
            "this network has no residual branches, so there is no response to measure; "
            "for a plain network use activation_statistics"
        )
    responses: dict[str, float] = {}

    def leave(name: str, output: Tensor) -> None:
        responses[name] = output.double().std(correction=0).item() * branches[name][1]

    observe(net, images, {name: module for name, (module, _) in branches.items()}, leave)
    return responses


def _branch(block: nn.Module) -> tuple[nn.Module, float] | None:
    """The module whose output `block` adds, and the factor by which it is scaled."""
    match block:
        case ScaledResidual():
            return block.project, block.scale
        case EarlyConcatenation() | SplitTransformMerge():
            return block.norm3, 1.0
        case InvertedResidual():
            last = block.drop if isinstance(block, MBConv) else block.project
            return (last, 1.0) if block.has_shortcut else None
        case HalvingShuffleUnit():
            return None
    residual = getattr(block, "residual", None)
    return (residual, 1.0) if isinstance(residual, nn.Module) else None
