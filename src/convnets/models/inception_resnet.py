"""Inception-ResNet-v2: Inception modules with a shortcut around each.

Christian Szegedy, Sergey Ioffe, Vincent Vanhoucke, Alexander A. Alemi: "Inception-v4,
Inception-ResNet and the impact of residual connections on learning", 2017, sections 3.2 and 3.3,
figures 15 to 19 and table 1 as numbered in arXiv:1602.07261. Lecture slides 46 and 47.

The idea: each module learns what to add to its input. The addition is scaled down, since otherwise
networks with more than a thousand filters output only zeros early in training.

Differences from the paper: this is the network that the authors released, from which the public
weights come. It has an older stem, 10, 20 and 10 modules instead of 5, 10 and 5, and 1088 and 2080
channels instead of 1154 and 2048; its last module is neither scaled nor followed by a ReLU. The
public weights expect pixels from -1 to 1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convnets.models.inception import (
    Branches,
    Concatenation,
    Conv,
    InceptionNet,
    Stage,
    V,
    average_pool,
    max_pool,
    reduction_a,
)
from convnets.registry import register


class ScaledResidual(nn.Module):
    """relu(x + scale * project(branches of x)) (section 3.3).

    (N, channels, H, W) -> (N, channels, H, W)

    Args:
        channels: number of channels of input and output.
        branches: run side by side; a 1x1 convolution projects their outputs to `channels`.
        scale: factor of the residual.
        relu: whether a ReLU follows the addition.
    """

    def __init__(self, channels: int, branches: Branches, scale: float, relu: bool) -> None:
        super().__init__()
        self.scale = scale
        self.residual = Concatenation(channels, branches)
        self.project = nn.Conv2d(self.residual.out_channels, channels, kernel_size=1)
        self.relu = nn.ReLU(inplace=True) if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(torch.add(x, self.project(self.residual(x)), alpha=self.scale))

    def extra_repr(self) -> str:
        return f"scale={self.scale}"


@dataclass(frozen=True)
class Residual:
    """A `ScaledResidual` as a step."""

    branches: Branches
    scale: float
    relu: bool = True

    def __call__(self, in_channels: int) -> tuple[nn.Module, int]:
        """The layer, and its number of output channels."""
        return ScaledResidual(in_channels, self.branches, self.scale, self.relu), in_channels


# The module after the stem, which the paper does not show.
MIXED: Branches = (
    (Conv(96, 1),),
    (Conv(48, 1), Conv(64, 5)),
    (Conv(64, 1), Conv(96, 3), Conv(96, 3)),
    (average_pool, Conv(64, 1)),
)
# Figures 16, 17 and 19: the branches before the last 1x1 convolution.
BLOCK_35: Branches = (
    (Conv(32, 1),),
    (Conv(32, 1), Conv(32, 3)),
    (Conv(32, 1), Conv(48, 3), Conv(64, 3)),
)
BLOCK_17: Branches = (
    (Conv(192, 1),),
    (Conv(128, 1), Conv(160, (1, 7)), Conv(192, (7, 1))),
)
BLOCK_8: Branches = (
    (Conv(192, 1),),
    (Conv(192, 1), Conv(224, (1, 3)), Conv(256, (3, 1))),
)
# Figure 18.
REDUCTION_B: Branches = (
    (Conv(256, 1), Conv(384, 3, 2, V)),
    (Conv(256, 1), Conv(288, 3, 2, V)),
    (Conv(256, 1), Conv(288, 3), Conv(320, 3, 2, V)),
    (max_pool,),
)
INCEPTION_RESNET_V2: tuple[Stage, ...] = (
    # name, step, number of repetitions
    ("conv1", Conv(32, 3, 2, V), 1),  # 149
    ("conv2", Conv(32, 3, 1, V), 1),  # 147
    ("conv3", Conv(64, 3), 1),
    ("pool1", max_pool, 1),  # 73
    ("conv4", Conv(80, 1), 1),
    ("conv5", Conv(192, 3, 1, V), 1),  # 71
    ("pool2", max_pool, 1),  # 35
    ("mixed", MIXED, 1),
    ("block_35", Residual(BLOCK_35, 0.17), 10),
    ("reduction_a", reduction_a(256, 256, 384, 384), 1),  # 17
    ("block_17", Residual(BLOCK_17, 0.10), 20),
    ("reduction_b", REDUCTION_B, 1),  # 8
    ("block_8", Residual(BLOCK_8, 0.20), 9),
    ("block_8_last", Residual(BLOCK_8, 1.0, relu=False), 1),
    ("conv6", Conv(1536, 1), 1),
)


@register
def inception_resnet_v2(num_classes: int = 1000, in_channels: int = 3) -> InceptionNet:
    """Inception-ResNet-v2, as the authors released it (figure 15)."""
    return InceptionNet(INCEPTION_RESNET_V2, num_classes, in_channels)
