"""The CNN architectures of one lecture, from LeNet to EfficientNet, and the tools to study them.

>>> import convnets
>>> convnets.names()[:3]
['lenet5', 'alexnet', 'alexnet_one_tower']
>>> net = convnets.build("resnet18", num_classes=10)
"""

from convnets.models import build
from convnets.registry import Card, card, names

__all__ = ["Card", "build", "card", "names"]
