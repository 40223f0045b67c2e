"""How much each residual branch adds to what passes by it."""

from torch import Tensor, nn

from convnets.analysis.watching import watch
from convnets.models.efficientnet import MBConv
from convnets.models.inception_resnet import ScaledResidual
from convnets.models.mobilenet_v2 import InvertedResidual
from convnets.models.resnext import EarlyConcatenation, SplitTransformMerge
from convnets.models.shufflenet import HalvingShuffleUnit


def residual_responses(net: nn.Module, images: Tensor) -> dict[str, float]:
    """Standard deviation of what each residual branch adds to its shortcut.

    He et al. (2016, "Deep residual learning", figure 7) show it for every 3x3 layer, behind its
    batch norm: deeper residual networks change the signal less in each layer. Here it is the output
    of the whole branch, as it enters the addition. In a ResNet that is the last batch norm's
    output; with pre-activation the last convolution's; in SENet it is gated; in Inception-ResNet it
    is scaled. Units that concatenate add nothing and do not count. The network runs in the mode in
    which it is (for a trained one, call net.eval() first) and is left as it was.

    Args:
        net: a residual network: of this course, or with blocks that keep their branch as a module
            `residual` and add its output.
        images: a batch (N, C, H, W).

    Returns:
        Name of each block, from input to output, and the standard deviation of all values that its
        branch adds, over images, maps and places. No unit.

    Raises:
        ValueError: the network has no residual branch, or there are no images.
    """
    branches = {name: branch for name, block in net.named_modules() if (branch := _branch(block))}
    if not branches:
        raise ValueError(
            "this network has no residual branches, so there is no response to measure; "
            "for a plain network look at activation_statistics"
        )
    responses: dict[str, float] = {}

    def see(name: str, output: Tensor) -> None:
        responses[name] = output.double().std(correction=0).item() * branches[name][1]

    watch(net, images, {name: module for name, (module, _) in branches.items()}, see)
    return responses


def _branch(block: nn.Module) -> tuple[nn.Module, float] | None:
    """The module whose output `block` adds, and the factor with which it does."""
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
