"""Plain and residual networks: learn what to add.

Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun: "Deep residual learning for image recognition",
2016, tables 1 and 6. Lecture slides 36 to 45.

The idea: a block adds its convolutions' output to its input, so that doing nothing is easy to
learn.

Differences from the paper: the stride of a bottleneck stands on its 3x3 convolution, as in the
weights that everybody uses, and not on its first 1x1.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from torch.nn.functional import pad

from convnets.layers import ImageClassifier, init_he_normal_
from convnets.registry import register

# Table 1: blocks in conv2_x to conv5_x. Table 6: a network of 6n + 2 layers has n blocks a stage.
IMAGENET_WIDTHS = (64, 128, 256, 512)
SMALL_WIDTHS = (16, 32, 64)
BASIC_DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
BOTTLENECK_DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
SMALL_DEPTHS = {20: (3, 3, 3), 56: (9, 9, 9)}


class ZeroPadShortcut(nn.Module):
    """Option A: every `stride`-th pixel, and zeros for the new channels; no parameters.

    (N, C, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.extra = out_channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        before = self.extra // 2
        return pad(
            x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.extra - before)
        )

    def extra_repr(self) -> str:
        return f"stride={self.stride}, new_channels={self.extra}"


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """A 1x1 convolution and batch norm that give the input the output's shape."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
            norm=nn.BatchNorm2d(out_channels),
        )
    )


def shortcut(in_channels: int, out_channels: int, stride: int, option: str = "B") -> nn.Module:
    """The shortcut of a block (section 3.3 and section 4.1, options A, B, C).

    The identity where shapes agree. Where they do not: "A" pads with zeros, "B" projects.
    "C" projects everywhere.
    """
    if option not in ("A", "B", "C"):
        raise ValueError(f"shortcut option must be 'A', 'B' or 'C', got {option!r}")
    if option != "C" and stride == 1 and in_channels == out_channels:
        return nn.Identity()
    make = ZeroPadShortcut if option == "A" else projection
    return make(in_channels, out_channels, stride)


class Block(nn.Module):
    """What a stage is made of: (N, in_channels, H, W) -> (N, out_channels, H', W')."""

    out_channels: int


class PlainBlock(Block):
    """Two 3x3 convolutions, each with batch norm and ReLU; no shortcut (figure 3, middle)."""

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.out_channels = width
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU(inplace=True)

    def residual(self, x: Tensor) -> Tensor:
        x = self.relu1(self.norm1(self.conv1(x)))
        return self.norm2(self.conv2(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.relu2(self.residual(x))


class BasicBlock(PlainBlock):
    """The plain block with a shortcut around it (figure 5, left): relu(residual(x) + shortcut(x)).

    (N, in_channels, H, W) -> (N, width, ceil(H / stride), ceil(W / stride))
    """

    def __init__(self, in_channels: int, width: int, stride: int = 1, option: str = "B") -> None:
        super().__init__(in_channels, width, stride)
        self.shortcut = shortcut(in_channels, self.out_channels, stride, option)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu2(self.residual(x) + self.shortcut(x))


class Bottleneck(Block):
    """1x1 down to `width`, 3x3, 1x1 up to four times `width`, with a shortcut (figure 5, right).

    (N, in_channels, H, W) -> (N, 4 * width, ceil(H / stride), ceil(W / stride))
    """

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int = 1, option: str = "B") -> None:
        super().__init__()
        self.out_channels = self.expansion * width
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv3 = nn.Conv2d(width, self.out_channels, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(self.out_channels)
        self.shortcut = shortcut(in_channels, self.out_channels, stride, option)
        self.relu3 = nn.ReLU(inplace=True)

    def residual(self, x: Tensor) -> Tensor:
        x = self.relu1(self.norm1(self.conv1(x)))
        x = self.relu2(self.norm2(self.conv2(x)))
        return self.norm3(self.conv3(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.relu3(self.residual(x) + self.shortcut(x))


def imagenet_stem(in_channels: int, width: int) -> nn.Module:
    """A 7x7 convolution of stride 2 and a 3x3 max pool of stride 2: 224 -> 56 pixels."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False),
            norm=nn.BatchNorm2d(width),
            relu=nn.ReLU(inplace=True),
            pool=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        )
    )


def small_stem(in_channels: int, width: int) -> nn.Module:
    """A 3x3 convolution that keeps the size: for images of 32 pixels (section 4.2)."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(in_channels, width, 3, padding=1, bias=False),
            norm=nn.BatchNorm2d(width),
            relu=nn.ReLU(inplace=True),
        )
    )


class ResNet(ImageClassifier):
    """Stem, stages of blocks, global average pool, one fully connected layer.

    (N, in_channels, H, W) -> (N, num_classes). Every stage but the first halves the size.

    Args:
        block: makes a block from in_channels, width and stride.
        depths: blocks in each stage.
        widths: width handed to the blocks of each stage.
        stem: makes the layers before the first stage from in_channels and the first width.
    """

    def __init__(
        self,
        block: Callable[[int, int, int], Block],
        depths: tuple[int, ...],
        widths: tuple[int, ...] = IMAGENET_WIDTHS,
        stem: Callable[[int, int], nn.Module] = imagenet_stem,
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        features = OrderedDict(stem=stem(in_channels, widths[0]))
        channels = widths[0]
        for number, (depth, width) in enumerate(zip(depths, widths, strict=True), start=1):
            blocks = []
            for index in range(depth):
                stride = 2 if number > 1 and index == 0 else 1
                blocks.append(block(channels, width, stride))
                channels = blocks[-1].out_channels
            features[f"stage{number}"] = nn.Sequential(*blocks)
        classifier = OrderedDict(
            pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(channels, num_classes)
        )
        super().__init__(
            nn.Sequential(features),
            nn.Sequential(classifier),
            num_classes=num_classes,
            in_channels=in_channels,
        )
        init_he_normal_(self)


for depth, depths in BASIC_DEPTHS.items():
    register(f"plain{depth}")(partial(ResNet, PlainBlock, depths))
    register(f"resnet{depth}")(partial(ResNet, BasicBlock, depths))
for depth, depths in BOTTLENECK_DEPTHS.items():
    register(f"resnet{depth}")(partial(ResNet, Bottleneck, depths))
for depth, stages in SMALL_DEPTHS.items():
    small = partial(ResNet, depths=stages, widths=SMALL_WIDTHS, stem=small_stem)
    register(f"plain{depth}")(partial(small, PlainBlock))
    register(f"resnet{depth}")(partial(small, partial(BasicBlock, option="A")))
