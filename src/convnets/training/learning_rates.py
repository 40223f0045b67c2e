"""The learning rate that the recipe "modern" takes for a network, by the network's family.

A rate that suits residual networks makes LeNet-5 and others without normalisation diverge.
"""

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from convnets import registry
from convnets.layers import ImageClassifier

FAMILY_RATES = {
    ("LeNet", False): 0.1,
    ("ResNet", True): 0.1,  # plain networks of the same depth: 0.2
    ("ShuffleNet", True): 0.1,
    ("MobileNet", True): 0.1,
    ("DenseNet", True): 0.2,
    ("Wide ResNet", True): 0.2,
}
"""Family, and whether the network has normalisation layers -> a rate that
`python -m benchmarks.recipes` found best for one of its networks (`benchmarks/results/recipes.md`).
"""
OTHER_RATES = {False: 0.02, True: 0.1}
"""The rate of all other networks, without and with normalisation layers: chosen, not measured."""


def learning_rate_for(net: nn.Module) -> float:
    """The measured rate of the family of `net`; for other networks, that of similar ones.

    Example:
        >>> import convnets
        >>> resnet, alexnet = (convnets.create_model(name) for name in ("resnet20", "alexnet"))
        >>> learning_rate_for(resnet) > learning_rate_for(alexnet)
        True
    """
    name = net.name if isinstance(net, ImageClassifier) else None
    family = None if name is None else registry.card(name).family
    normalised = is_normalised(net)
    return FAMILY_RATES.get((family or "", normalised), OTHER_RATES[normalised])


def is_normalised(net: nn.Module) -> bool:
    """Whether `net` normalises its feature maps, by batch or otherwise, with learned scales."""
    return any(
        isinstance(module, (_NormBase, nn.GroupNorm, nn.LayerNorm)) for module in net.modules()
    )
