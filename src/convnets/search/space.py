"""The search space: small chains of convolutions, with a few decisions for each layer.

Barret Zoph, Quoc V. Le: "Neural architecture search with reinforcement learning", 2017, section 3.
Lecture slide 64. The paper decides height, width, number and stride of the filters and the skip
connections of each layer. Here a layer has a square kernel, a width and a stride, so that a child
network trains in seconds.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from convnets.layers import ImageClassifier, init_he_normal_, pooled_head


@dataclass(frozen=True)
class LayerChoice:
    """The decisions for one layer: a convolution followed by batch norm and ReLU."""

    kernel_size: int
    out_channels: int
    stride: int


@dataclass(frozen=True)
class Architecture:
    """The design of a child network: its layers from input to output."""

    layers: tuple[LayerChoice, ...]

    def build(self, num_classes: int = 10, in_channels: int = 1) -> ImageClassifier:
        """Build the child network with new weights: (N, in_channels, H, W) -> (N, num_classes)."""
        features: OrderedDict[str, nn.Module] = OrderedDict()
        channels = in_channels
        for number, layer in enumerate(self.layers, start=1):
            features[f"conv{number}"] = nn.Conv2d(
                channels,
                layer.out_channels,
                layer.kernel_size,
                layer.stride,
                padding=layer.kernel_size // 2,
                bias=False,
            )
            features[f"norm{number}"] = nn.BatchNorm2d(layer.out_channels)
            features[f"relu{number}"] = nn.ReLU(inplace=True)
            channels = layer.out_channels
        net = ImageClassifier(
            nn.Sequential(features),
            pooled_head(channels, num_classes),
            num_classes=num_classes,
            in_channels=in_channels,
        )
        init_he_normal_(net)
        return net

    def parameters(self, num_classes: int = 10, in_channels: int = 1) -> int:
        """Number of parameters of the child network."""
        with torch.device("meta"):
            return sum(p.numel() for p in self.build(num_classes, in_channels).parameters())


@dataclass(frozen=True)
class SearchSpace:
    """All chains of `depth` layers with these kernel sizes, widths and strides.

    Raises:
        ValueError: The depth is below 1, a decision has no options, or a kernel size is even.
    """

    depth: int = 4
    kernel_sizes: tuple[int, ...] = (1, 3, 5)
    widths: tuple[int, ...] = (8, 16, 32)
    strides: tuple[int, ...] = (1, 2)

    def __post_init__(self) -> None:
        if self.depth < 1 or not (self.kernel_sizes and self.widths and self.strides):
            raise ValueError(
                "a search space needs at least one layer and one option for each decision"
            )
        if any(size % 2 == 0 for size in self.kernel_sizes):
            raise ValueError(
                f"kernel sizes must be odd to preserve the image size, got {self.kernel_sizes}"
            )

    @cached_property
    def options(self) -> tuple[tuple[int, ...], ...]:
        """The options of every decision, in the order in which the controller makes them."""
        return (self.kernel_sizes, self.widths, self.strides) * self.depth

    @property
    def size(self) -> int:
        """Number of architectures in the space."""
        return math.prod(len(options) for options in self.options)

    def architecture(self, decisions: Sequence[int]) -> Architecture:
        """The architecture that the decisions describe.

        Args:
            decisions: For each entry of `options`, the index of the chosen option.

        Raises:
            ValueError: The number of decisions does not match the space.
        """
        if len(decisions) != len(self.options):
            raise ValueError(
                f"this space takes {len(self.options)} decisions, got {len(decisions)}"
            )
        values = [options[index] for options, index in zip(self.options, decisions, strict=True)]
        return Architecture(
            tuple(LayerChoice(*values[start : start + 3]) for start in range(0, len(values), 3))
        )
