"""The CNN architectures of one lecture, from LeNet to EfficientNet, and the tools to study them.

>>> import convnets
>>> convnets.list_models()[:3]
['lenet5', 'alexnet', 'alexnet_one_tower']
>>> net = convnets.create_model("resnet18", num_classes=10)
"""

from convnets.models import create_model
from convnets.registry import Card, card, list_models

__all__ = ["Card", "card", "create_model", "list_models"]
