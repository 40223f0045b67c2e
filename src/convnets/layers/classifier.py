"""The interface that every network of the course has."""

from torch import Tensor, nn


class ImageClassifier(nn.Module):
    """Images (N, in_channels, H, W) -> class scores (N, num_classes), in two parts.

    `features` turns an image into feature maps (N, C, H', W'); `classifier` turns those into
    scores.

    Args:
        features: image -> feature maps.
        classifier: feature maps -> scores before the softmax.
        num_classes: number of classes.
        in_channels: channels of the input image.
        smallest_input: side in pixels of the smallest image that every layer can handle.

    Attributes:
        input_size: side in pixels of the square image that the network is made for, from its card;
            32 if it was adapted to small images; `None` for a network that is not registered.

    Raises (when called):
        ValueError: the input has another number of channels, or is too small.
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

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return self.classifier(self.features(x))

    def check(self, x: Tensor) -> None:
        """Refuse what is no batch of images for this network, with a sentence that says why."""
        if x.ndim != 4:
            raise ValueError(
                f"expected a batch of images (N, C, H, W), got the shape {tuple(x.shape)}; "
                "a single image needs .unsqueeze(0)"
            )
        if x.shape[1] != self.in_channels:
            raise ValueError(
                f"this network takes images of {self.in_channels} channels, got {x.shape[1]}; "
                f"build it with in_channels={x.shape[1]}"
            )
        if min(x.shape[-2:]) < self.smallest_input:
            raise ValueError(
                f"an image of {x.shape[-2]}x{x.shape[-1]} pixels is too small for this network; "
                f"the smallest that works is {self.smallest_input}x{self.smallest_input}"
            )
