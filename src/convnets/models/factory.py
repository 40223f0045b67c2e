"""`create_model`: a network by its name."""

from convnets import registry
from convnets.layers import ImageClassifier
from convnets.models import checkpoints
from convnets.models.small_input import keep_small_images_


def create_model(
    name: str,
    num_classes: int | None = None,
    in_channels: int | None = None,
    weights: str | None = None,
    small_input: bool = False,
) -> ImageClassifier:
    """The network called `name`, freshly initialised or with public weights.

    >>> create_model("lenet5").num_classes
    10
    >>> create_model("resnet18", num_classes=10, in_channels=1, small_input=True).input_size
    32

    Args:
        name: one of `convnets.list_models()`.
        num_classes: width of the last layer; `None` for as many as on the card (1000 for networks
            made for ImageNet, 10 for those made for MNIST or CIFAR-10).
        in_channels: channels of the input images; `None` for as many as on the card.
        weights: `"torchvision"` downloads the weights that torchvision publishes for this network
            (1000 classes, 3 channels); `None` leaves the initialisation.
        small_input: adapt a network made for ImageNet to images of 28 to 32 pixels by removing its
            first strides. Networks made for small images are not changed.

    Returns:
        The network in training mode: (N, in_channels, H, W) -> (N, num_classes).

    Raises:
        ValueError: if the name is unknown, `num_classes` or `in_channels` is below 1, or there are
            no such weights for this network and these sizes.
    """
    card = registry.card(name)
    num_classes = card.num_classes if num_classes is None else num_classes
    in_channels = card.in_channels if in_channels is None else in_channels
    if num_classes < 1 or in_channels < 1:
        raise ValueError(
            f"num_classes and in_channels must be at least 1, got {num_classes} and {in_channels}"
        )
    if weights is not None and (num_classes, in_channels) != (card.num_classes, card.in_channels):
        raise ValueError(
            f"public weights of {name!r} are for num_classes={card.num_classes} and "
            f"in_channels={card.in_channels}; create the network with those, then replace the last "
            "layer of net.classifier"
        )
    net = registry.builder(name)(num_classes=num_classes, in_channels=in_channels)
    if weights is not None:
        net.load_state_dict(checkpoints.download(name, weights))
    if small_input and not card.is_small_image:
        keep_small_images_(net, card.input_size)
    return net
