"""Squeeze-and-excitation: a network weighs its own channels."""

from collections.abc import Callable

from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Scales each map by a factor from 0 to 1 that all maps together decide.

    Hu et al. (2018, section 3): squeeze is the mean of each map, excite is two fully connected
    layers, here 1x1 convolutions with bias, and a sigmoid. (N, channels, H, W) -> the same.

    Args:
        channels: maps in and out, the paper's C.
        squeeze_channels: width between the two layers, the paper's C / r.
        activation: makes the activation between them.

    Raises:
        ValueError: no hidden channel is left.
    """

    def __init__(
        self, channels: int, squeeze_channels: int, activation: Callable[[], nn.Module] = nn.ReLU
    ) -> None:
        super().__init__()
        if squeeze_channels < 1:
            raise ValueError(
                f"squeeze-and-excitation needs at least 1 hidden channel, got {squeeze_channels}; "
                f"reduce {channels} channels by a smaller ratio"
            )
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, squeeze_channels, kernel_size=1)
        self.activation = activation()
        self.expand = nn.Conv2d(squeeze_channels, channels, kernel_size=1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        scale = self.activation(self.reduce(self.squeeze(x)))  # N x squeeze_channels x 1 x 1
        return x * self.gate(self.expand(scale))
