"""The architectures, one file a family, in the lecture's order."""

from convnets import registry
from convnets.layers import ImageClassifier
from convnets.models import (
    alexnet,
    checkpoints,
    compound_scaling,
    densenet,
    efficientnet,
    googlenet,
    googlenet_auxiliary,
    inception,
    inception_resnet,
    lenet,
    mobilenet,
    mobilenet_v2,
    preact,
    resnet,
    resnext,
    senet,
    shufflenet,
    shufflenet_v2,
    vgg,
    wide_resnet,
    zfnet,
)
from convnets.models.fusing import fuse
from convnets.models.small_input import keep_small_images_

__all__ = [
    "alexnet",
    "checkpoints",
    "compound_scaling",
    "create_model",
    "densenet",
    "efficientnet",
    "fuse",
    "googlenet",
    "googlenet_auxiliary",
    "inception",
    "inception_resnet",
    "lenet",
    "mobilenet",
    "mobilenet_v2",
    "preact",
    "resnet",
    "resnext",
    "senet",
    "shufflenet",
    "shufflenet_v2",
    "vgg",
    "wide_resnet",
    "zfnet",
]


def create_model(
    name: str,
    num_classes: int = 1000,
    in_channels: int = 3,
    weights: str | None = None,
    small_input: bool = False,
) -> ImageClassifier:
    """The network called `name`, freshly initialised or with public weights.

    Args:
        name: one of `convnets.list_models()`.
        num_classes: width of the last layer.
        in_channels: channels of the input images.
        weights: `"torchvision"` downloads the weights that torchvision publishes for this network
            (1000 classes, 3 channels); `None` leaves the initialisation.
        small_input: for images of 28 to 32 pixels: a network made for ImageNet does without its
            first strides. Networks made for small images stay as they are.

    Raises:
        ValueError: unknown name, sizes below 1, or weights that do not exist for this network.
    """
    if num_classes < 1 or in_channels < 1:
        raise ValueError(
            f"num_classes and in_channels must be at least 1, got {num_classes} and {in_channels}"
        )
    make = registry.builder(name)
    if weights is not None and (num_classes, in_channels) != (1000, 3):
        raise ValueError(
            f"public weights of {name!r} are for num_classes=1000 and in_channels=3; build it with "
            "those, then replace the last layer of net.classifier"
        )
    net: ImageClassifier = make(num_classes=num_classes, in_channels=in_channels)
    if weights is not None:
        net.load_state_dict(checkpoints.download(name, weights))
    card = registry.card(name)
    if small_input and not card.is_small_image:
        keep_small_images_(net, card.input_size)
    return net
