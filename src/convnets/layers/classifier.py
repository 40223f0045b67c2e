"""The interface that every network of the course has, and the head that most of them end in."""

from collections import OrderedDict

from torch import Tensor, nn


class ImageClassifier(nn.Module):
    """Images (N, in_channels, H, W) -> class scores (N, num_classes), in two parts.

    Args:
        features: turns images into feature maps (N, C, H', W').
        classifier: turns feature maps into class scores, before the softmax.
        num_classes: number of classes.
        in_channels: number of channels of the images.
        smallest_input: side of the smallest square image that every layer can handle, in pixels.

    Attributes:
        input_size: side of the square image that the network is made for, in pixels. A builder sets
            it from the network's card, `create_model(..., small_input=True)` to 32; it is `None`
            for networks that are not registered.
        name: of the network in the registry, which a builder sets; otherwise `None`.

    Raises:
        ValueError: when it is called, if the input is not a batch of images, has another number of
            channels, or is smaller than `smallest_input`.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> net = ImageClassifier(
        ...     nn.Conv2d(3, 8, kernel_size=3), pooled_head(8, 10), num_classes=10, in_channels=3
        ... )
        >>> net(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        features: nn.Module,
        classifier: nn.Module,
        *,
        num_classes: int,
        in_channels: int,
        smallest_input: int = 1,
    ) -> None:
        super().__init__()
        self.features = features
        self.classifier = classifier
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.smallest_input = smallest_input
        self.input_size: int | None = None
        self.name: str | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return self.classifier(self.features(x))

    def check(self, x: Tensor) -> None:
        """Check that `x` (N, in_channels, H, W) is a batch of images that this network can handle.

        Raises:
            ValueError: if it is not; the message says what to change.
        """
        if x.ndim != 4:
            raise ValueError(
                f"expected a batch of images (N, C, H, W), got the shape {tuple(x.shape)}; "
                "a single image needs .unsqueeze(0)"
            )
        if x.shape[1] != self.in_channels:
            raise ValueError(
                f"this network takes images of {self.in_channels} channels, got {x.shape[1]}; "
                f"create it with in_channels={x.shape[1]}"
            )
        if min(x.shape[-2:]) < self.smallest_input:
            raise ValueError(
                f"an image of {x.shape[-2]}x{x.shape[-1]} pixels is too small for this network; "
                f"the smallest that works is {self.smallest_input}x{self.smallest_input}"
            )


def pooled_head(in_channels: int, num_classes: int, dropout: float | None = None) -> nn.Sequential:
    """Global average pool, dropout where it is given, and a fully connected layer.

    (N, in_channels, H, W) -> (N, num_classes), for any H and W. From Lin et al.: "Network in
    network", 2014, section 3.2; most networks since GoogLeNet end in it.

    Args:
        in_channels: number of feature maps.
        num_classes: number of classes.
        dropout: probability with which a pooled feature is set to zero in training.

    Example:
        >>> import torch
        >>> pooled_head(512, num_classes=10)(torch.zeros(2, 512, 7, 7)).shape
        torch.Size([2, 10])
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten()
    )
    if dropout is not None:
        layers["drop"] = nn.Dropout(dropout)
    layers["fc"] = nn.Linear(in_channels, num_classes)
    return nn.Sequential(layers)
