"""Squeeze-and-excitation: a network weights its own channels."""

from collections.abc import Callable

from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Scales each channel by a factor from 0 to 1 that is computed from the means of all channels.

    (N, channels, H, W) -> (N, channels, H, W). Hu et al. (2018, section 3): the squeeze is the mean
    of each channel; the excitation is two fully connected layers, here 1x1 convolutions with bias,
    and a sigmoid.

    Args:
        channels: number of channels, the paper's C.
        squeeze_channels: number of channels between the two layers, the paper's C / r.
        activation: makes the activation between the two layers.

    Raises:
        ValueError: if `squeeze_channels` is below 1.

    Example:
        >>> import torch
        >>> gate = SqueezeExcite(256, squeeze_channels=16)
        >>> gate(torch.ones(1, 256, 14, 14)).shape
        torch.Size([1, 256, 14, 14])
        >>> sum(p.numel() for p in gate.parameters())
        8464
    """

    def __init__(
        self,
        channels: int,
        squeeze_channels: int,
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        if squeeze_channels < 1:
            raise ValueError(
                f"squeeze_channels must be at least 1, got {squeeze_channels}; "
                f"reduce {channels} channels by a smaller ratio"
            )
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, squeeze_channels, kernel_size=1)
        self.activation = activation()
        self.expand = nn.Conv2d(squeeze_channels, channels, kernel_size=1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        scale = self.activation(self.reduce(self.squeeze(x)))  # (N, squeeze_channels, 1, 1)
        return x * self.gate(self.expand(scale))
