"""ZFNet: AlexNet with a finer first layer, designed after looking at AlexNet's features.

Matthew D. Zeiler, Rob Fergus: "Visualizing and understanding convolutional networks", 2014, figure
3, section 4.1 and table 2. Lecture slide 15.

The idea: the first filters have 7x7 pixels and stride 2 instead of 11x11 and stride 4, which missed
the middle frequencies and caused aliasing in the second layer.

Differences from the paper: none. `zfnet_paper` has the widths of figure 3; `zfnet` has those of the
lecture, 512, 1024 and 512, which are network (b) of the paper's table 2. Two details are in figure
3 and section 3 but not on the slide: the second convolution has stride 2 as well, and no
convolution is grouped. The average pool before FC6 makes other sizes possible; at 224 pixels it has
no effect.
"""

from dataclasses import replace
from functools import partial

from torch import nn

from convnets.models.alexnet import NORM, AlexNet, ConvRow
from convnets.registry import register

# The sizes 110 -> 55, 26 -> 13 and 13 -> 6 need ceil_mode: a last window beyond the edge counts.
POOL = ("pool", partial(nn.MaxPool2d, kernel_size=3, stride=2, ceil_mode=True))

# Figure 3. The pool comes before the normalisation; in AlexNet it comes after it.
FIGURE_3 = (
    # channels, kernel, stride, padding, groups, then
    ConvRow(96, 7, 2, 1, 1, (POOL, NORM)),  # 110, 55
    ConvRow(256, 5, 2, 0, 1, (POOL, NORM)),  # 26, 13
    ConvRow(384, 3, 1, 1, 1),  # 13
    ConvRow(384, 3, 1, 1, 1),  # 13
    ConvRow(256, 3, 1, 1, 1, (POOL,)),  # 13, 6
)
# Table 2, network (b): 512, 1024 and 512 feature maps in layers 3, 4 and 5.
WIDER = (
    *FIGURE_3[:2],
    *(
        replace(row, out_channels=width)
        for row, width in zip(FIGURE_3[2:], (512, 1024, 512), strict=True)
    ),
)


class ZFNet(AlexNet):
    """ZFNet: (N, in_channels, H, W) -> (N, num_classes).

    Args:
        rows: the five convolutions, such as `FIGURE_3` or `WIDER`.
    """

    def __init__(
        self, rows: tuple[ConvRow, ...], num_classes: int = 1000, in_channels: int = 3
    ) -> None:
        super().__init__(rows, 47, num_classes=num_classes, in_channels=in_channels)
        init_zfnet_(self)


def init_zfnet_(net: ZFNet) -> None:
    """Set all biases to 0 (section 3); the weights keep AlexNet's N(0, 0.01^2).

    The paper says that weights are "initialized to 10^-2". Filters that start equal would stay
    equal, so that must be the standard deviation.
    """
    for name, parameter in net.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)


@register
def zfnet(num_classes: int = 1000, in_channels: int = 3) -> ZFNet:
    """ZFNet with 512, 1024 and 512 maps in layers 3 to 5 (table 2, network (b))."""
    return ZFNet(WIDER, num_classes, in_channels)


@register
def zfnet_paper(num_classes: int = 1000, in_channels: int = 3) -> ZFNet:
    """ZFNet with the widths of figure 3."""
    return ZFNet(FIGURE_3, num_classes, in_channels)
