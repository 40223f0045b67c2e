"""Inception-v4: a module for each size of the feature maps, and factorised large kernels.

Christian Szegedy, Sergey Ioffe, Vincent Vanhoucke, Alexander A. Alemi: "Inception-v4,
Inception-ResNet and the impact of residual connections on learning", 2017, section 3.1, figures 3
to 9 and table 1 as numbered in arXiv:1602.07261. Lecture slides 46 and 47.

The idea: a 7x1 and a 1x7 convolution in a row have the receptive field of a 7x7 convolution, with
two sevenths of its weights. The same module is repeated while the size of the feature maps stays
the same.

Differences from the paper: some pairs of 1x7 and 7x1 convolutions are in the other order, as in the
network that the authors released, from which the public weights come. The initialisation is He's,
since the paper does not state one. The public weights expect pixels from -1 to 1.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from convnets.layers import ImageClassifier, conv_norm_relu, init_he_normal_, pooled_head
from convnets.registry import register

# A step makes a layer from in_channels, and returns it with its number of output channels. A tuple
# of branches, each a tuple of steps, makes a layer that runs the branches side by side.
Step: TypeAlias = "Callable[[int], tuple[nn.Module, int]] | Branches"
Branches: TypeAlias = tuple[tuple[Step, ...], ...]


@dataclass(frozen=True)
class Conv:
    """A convolution with batch norm and ReLU, as a step."""

    out_channels: int
    kernel_size: int | tuple[int, int]
    stride: int = 1
    padded: bool = True
    """Pad to keep the size; the figures mark a convolution without padding with V."""

    def __call__(self, in_channels: int) -> tuple[nn.Module, int]:
        """The layer, and its number of output channels."""
        padding = None if self.padded else 0
        layer = conv_norm_relu(
            in_channels, self.out_channels, self.kernel_size, self.stride, padding, eps=1e-3
        )
        return layer, self.out_channels


def max_pool(in_channels: int) -> tuple[nn.Module, int]:
    """A 3x3 max pool of stride 2 without padding, as a step: 147 -> 73 pixels."""
    return nn.MaxPool2d(kernel_size=3, stride=2), in_channels


def average_pool(in_channels: int) -> tuple[nn.Module, int]:
    """A 3x3 average pool that keeps the size, as a step; padding does not count in the mean."""
    return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False), in_channels


V = False  # Conv.padded


def reduction_a(k: int, l: int, m: int, n: int) -> Branches:  # noqa: E741
    """The branches of figure 7, with the widths k, l, m and n of table 1: 35x35 -> 17x17 pixels."""
    return (
        (Conv(n, 3, 2, V),),
        (Conv(k, 1), Conv(l, 3), Conv(m, 3, 2, V)),
        (max_pool,),
    )


# Figures 4, 5, 8 and 6 of Inception-v4, each branch from its input to its output.
INCEPTION_A: Branches = (
    (Conv(96, 1),),
    (Conv(64, 1), Conv(96, 3)),
    (Conv(64, 1), Conv(96, 3), Conv(96, 3)),
    (average_pool, Conv(96, 1)),
)
INCEPTION_B: Branches = (
    (Conv(384, 1),),
    (Conv(192, 1), Conv(224, (1, 7)), Conv(256, (7, 1))),
    (Conv(192, 1), Conv(192, (7, 1)), Conv(224, (1, 7)), Conv(224, (7, 1)), Conv(256, (1, 7))),
    (average_pool, Conv(128, 1)),
)
REDUCTION_B: Branches = (
    (Conv(192, 1), Conv(192, 3, 2, V)),
    (Conv(256, 1), Conv(256, (1, 7)), Conv(320, (7, 1)), Conv(320, 3, 2, V)),
    (max_pool,),
)
SPLIT: Branches = ((Conv(256, (1, 3)),), (Conv(256, (3, 1)),))
INCEPTION_C: Branches = (
    (Conv(256, 1),),
    (Conv(384, 1), SPLIT),
    (Conv(384, 1), Conv(448, (3, 1)), Conv(512, (1, 3)), SPLIT),
    (average_pool, Conv(256, 1)),
)
STEM_2: Branches = (
    (Conv(64, 1), Conv(96, 3, 1, V)),
    (Conv(64, 1), Conv(64, (1, 7)), Conv(64, (7, 1)), Conv(96, 3, 1, V)),
)
# Figure 9; the first six rows are the stem of figure 3.
Stage: TypeAlias = tuple[str, Step, int]
INCEPTION_V4: tuple[Stage, ...] = (
    # name, step, number of repetitions
    ("conv1", Conv(32, 3, 2, V), 1),  # 149
    ("conv2", Conv(32, 3, 1, V), 1),  # 147
    ("conv3", Conv(64, 3), 1),
    ("stem1", ((max_pool,), (Conv(96, 3, 2, V),)), 1),  # 73
    ("stem2", STEM_2, 1),  # 71
    ("stem3", ((Conv(192, 3, 2, V),), (max_pool,)), 1),  # 35
    ("inception_a", INCEPTION_A, 4),
    ("reduction_a", reduction_a(192, 224, 256, 384), 1),  # 17
    ("inception_b", INCEPTION_B, 7),
    ("reduction_b", REDUCTION_B, 1),  # 8
    ("inception_c", INCEPTION_C, 3),
)


class Concatenation(nn.Module):
    """The concatenated outputs of branches: (N, in_channels, H, W) -> (N, out_channels, H', W').

    `out_channels` is an attribute, the sum over all branches. H' and W' are H and W, or half of
    them, rounded down, if the branches have stride 2.

    Args:
        branches: steps of each branch; all branches must output the same H' and W'.
    """

    def __init__(self, in_channels: int, branches: Branches) -> None:
        super().__init__()
        self.out_channels = 0
        self.branches = nn.ModuleList()
        for steps in branches:
            channels, layers = in_channels, []
            for step in steps:
                layer, channels = make_layer(step, channels)
                layers.append(layer)
            self.branches.append(nn.Sequential(*layers))
            self.out_channels += channels

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def make_layer(step: Step, in_channels: int) -> tuple[nn.Module, int]:
    """The layer of a step, and its number of output channels."""
    if isinstance(step, tuple):
        layer = Concatenation(in_channels, step)
        return layer, layer.out_channels
    return step(in_channels)


class InceptionNet(ImageClassifier):
    """A network of steps: (N, in_channels, H, W), H and W at least 75 -> (N, num_classes).

    Args:
        stages: name, step and number of repetitions of each part, such as `INCEPTION_V4`.
    """

    def __init__(
        self, stages: tuple[Stage, ...], num_classes: int = 1000, in_channels: int = 3
    ) -> None:
        features: OrderedDict[str, nn.Module] = OrderedDict()
        channels = in_channels
        for name, step, times in stages:
            layers = []
            for _ in range(times):
                layer, channels = make_layer(step, channels)
                layers.append(layer)
            features[name] = layers[0] if times == 1 else nn.Sequential(*layers)
        super().__init__(
            nn.Sequential(features),
            pooled_head(channels, num_classes, 0.2),  # figure 9: keep 0.8
            num_classes=num_classes,
            in_channels=in_channels,
            smallest_input=75,
        )
        init_he_normal_(self)


@register
def inception_v4(num_classes: int = 1000, in_channels: int = 3) -> InceptionNet:
    """Inception-v4 (figure 9)."""
    return InceptionNet(INCEPTION_V4, num_classes, in_channels)
