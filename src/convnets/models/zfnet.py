"""ZFNet: AlexNet with a finer first layer, found by looking at what AlexNet had learnt.

Matthew D. Zeiler, Rob Fergus: "Visualizing and understanding convolutional networks", 2014, figure
3, section 4.1 and table 2. Lecture slide 15.

The idea: the first filters are 7x7 of stride 2 and no longer 11x11 of stride 4, which lost the
middle frequencies and drew aliasing patterns into the second layer.

Differences from the paper: none. `zfnet_paper` has figure 3's widths; `zfnet` has the lecture's
512, 1024 and 512, which are the paper's network (b) in table 2. The slide does not say that the
second convolution strides by 2 as well and that all layers see all maps; figure 3 and section 3 do.
The average pool before FC6 admits other sizes; at 224 it changes nothing.
"""

from dataclasses import replace
from functools import partial

from torch import nn

from convnets.models.alexnet import NORM, AlexNet, ConvRow
from convnets.registry import register

# 110 -> 55, 26 -> 13 and 13 -> 6 only if the last window may reach over the edge.
POOL = ("pool", partial(nn.MaxPool2d, kernel_size=3, stride=2, ceil_mode=True))

# Figure 3. It pools before it normalises; AlexNet does the reverse.
FIGURE_3 = (
    # channels kernel stride padding groups then
    ConvRow(96, 7, 2, 1, 1, (POOL, NORM)),  # 110, 55
    ConvRow(256, 5, 2, 0, 1, (POOL, NORM)),  # 26, 13
    ConvRow(384, 3, 1, 1, 1),  # 13
    ConvRow(384, 3, 1, 1, 1),  # 13
    ConvRow(256, 3, 1, 1, 1, (POOL,)),  # 13, 6
)
# Table 2, network (b): layers 3, 4 and 5 with 512, 1024 and 512 maps.
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
        rows: the five convolutions, as `FIGURE_3` or `WIDER`.
    """

    def __init__(
        self, rows: tuple[ConvRow, ...], num_classes: int = 1000, in_channels: int = 3
    ) -> None:
        super().__init__(rows, 47, num_classes=num_classes, in_channels=in_channels)
        init_zfnet_(self)


def init_zfnet_(net: ZFNet) -> None:
    """AlexNet's weights N(0, 0.01^2), but all biases 0 (section 3).

    The paper says that weights are "initialized to 10^-2"; filters that start equal would stay
    equal, so that must be the deviation.
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
