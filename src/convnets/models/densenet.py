"""DenseNet: every layer reads the feature maps of all layers before it.

Gao Huang, Zhuang Liu, Laurens van der Maaten, Kilian Q. Weinberger: "Densely connected
convolutional networks", 2017, section 3 and table 1. Lecture slides 56 to 59.

The idea: a block concatenates where ResNet adds. So a layer adds only a few feature maps, and all
later layers of the block can read them.

Differences from the paper: its dropout, which is for training without augmentation only, is left
out. Saving memory is from Pleiss et al.: "Memory-efficient implementation of DenseNets", 2017.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from convnets.layers import (
    ImageClassifier,
    imagenet_stem,
    init_he_normal_,
    pooled_head,
    small_stem,
)
from convnets.registry import register


@contextmanager
def frozen_statistics(norm: nn.BatchNorm2d) -> Iterator[None]:
    """A context in which `norm` does not update its running statistics."""
    momentum, batches = norm.momentum, norm.num_batches_tracked
    norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        norm.momentum, norm.num_batches_tracked = momentum, batches


class DenseLayer(nn.Module):
    """Batch norm, ReLU and a 3x3 convolution of all feature maps so far (section 3).

    A list of tensors (N, C_i, H, W), whose C_i sum up to `in_channels` -> (N, growth_rate, H, W).

    Args:
        in_channels: number of feature maps so far.
        growth_rate: number of new feature maps, the paper's k.
        save_memory: do not keep the concatenated feature maps; compute them again in the backward
            pass.
    """

    def __init__(self, in_channels: int, growth_rate: int, save_memory: bool = False) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = self.first_convolution(in_channels, growth_rate)
        self.save_memory = save_memory

    def first_convolution(self, in_channels: int, growth_rate: int) -> nn.Conv2d:
        """The convolution after the first batch norm."""
        return nn.Conv2d(in_channels, growth_rate, 3, padding=1, bias=False)

    def concatenated(self, *maps: Tensor) -> Tensor:
        """Tensors (N, C_i, H, W) -> their concatenation after `norm1`, `relu1` and `conv1`."""
        return self.conv1(self.relu1(self.norm1(torch.cat(maps, dim=1))))

    def forward(self, maps: list[Tensor]) -> Tensor:
        if not (self.save_memory and torch.is_grad_enabled()) or torch.compiler.is_compiling():
            return self.concatenated(*maps)
        return checkpoint(
            self.concatenated, *maps, use_reentrant=False, context_fn=self._both_times
        )

    def _both_times(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), frozen_statistics(self.norm1)


class BottleneckLayer(DenseLayer):
    """A dense layer with a 1x1 convolution to 4 * growth_rate channels before the 3x3 (DenseNet-B).

    Shapes and arguments are those of `DenseLayer`.
    """

    def __init__(self, in_channels: int, growth_rate: int, save_memory: bool = False) -> None:
        super().__init__(in_channels, growth_rate, save_memory)
        mid_channels = 4 * growth_rate
        self.norm2 = nn.BatchNorm2d(mid_channels)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(mid_channels, growth_rate, 3, padding=1, bias=False)

    def first_convolution(self, in_channels: int, growth_rate: int) -> nn.Conv2d:
        """The 1x1 convolution after the first batch norm."""
        return nn.Conv2d(in_channels, 4 * growth_rate, 1, bias=False)

    def forward(self, maps: list[Tensor]) -> Tensor:
        return self.conv2(self.relu2(self.norm2(super().forward(maps))))


class DenseBlock(nn.Module):
    """The concatenation of a block's input and of the outputs of its layers.

    (N, in_channels, H, W) -> (N, in_channels + len(layers) * growth_rate, H, W)
    """

    def __init__(self, layers: list[DenseLayer]) -> None:
        super().__init__()
        for number, layer in enumerate(layers, start=1):
            self.add_module(f"layer{number}", layer)

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.children():
            maps.append(layer(maps))
        return torch.cat(maps, dim=1)


def transition(in_channels: int, out_channels: int) -> nn.Module:
    """Batch norm, ReLU, a 1x1 convolution and a 2x2 average pool (table 1).

    (N, in_channels, H, W) -> (N, out_channels, H // 2, W // 2)
    """
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(in_channels),
            relu=nn.ReLU(inplace=True),
            conv=nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False),
            pool=nn.AvgPool2d(kernel_size=2, stride=2),
        )
    )


bare_stem = partial(small_stem, norm_relu=False)  # the first dense layer begins with batch norm


@dataclass(frozen=True)
class DenseNetConfig:
    """The layout of a network: a column of table 1 or a row of table 2."""

    depths: tuple[int, ...]
    """Number of layers in each dense block."""
    growth_rate: int
    """Number of feature maps that a layer adds, k."""
    stem_width: int
    """Number of channels after the stem."""
    compression: float = 0.5
    """Fraction of the channels that a transition keeps, theta."""
    layer: type[DenseLayer] = BottleneckLayer
    """Makes a layer from in_channels, growth_rate and save_memory."""
    stem: Callable[[int, int], nn.Module] = imagenet_stem
    """Makes the layers before the first block from in_channels and out_channels."""
    smallest_input: int = 29
    """Side in pixels. Transitions halve and round down, the steps of the ImageNet stem round up."""


CONFIGS = {
    # Table 1. DenseNet-161 is not in the table, but among the authors' weights.
    "densenet121": DenseNetConfig((6, 12, 24, 16), 32, 64),
    "densenet161": DenseNetConfig((6, 12, 36, 24), 48, 96),
    "densenet169": DenseNetConfig((6, 12, 32, 32), 32, 64),
    "densenet201": DenseNetConfig((6, 12, 48, 32), 32, 64),
    # Table 2, and "Implementation details" in section 3. L is 40 = 3 * 12 + 4, 100 = 6 * 16 + 4.
    "densenet40_12": DenseNetConfig((12, 12, 12), 12, 16, 1.0, DenseLayer, bare_stem, 4),
    "densenet_bc100_12": DenseNetConfig((16, 16, 16), 12, 24, stem=bare_stem, smallest_input=4),
}


class DenseNet(ImageClassifier):
    """DenseNet: (N, in_channels, H, W) -> (N, num_classes).

    H and W are at least `config.smallest_input`.

    Args:
        config: layout of the network, such as a value of `CONFIGS`.
        save_memory: do not keep concatenated feature maps; compute them again in the backward pass.
            Gradients are the same, with less memory and more time. Under torch.compile this has no
            effect, since the compiler chooses itself what to keep.
    """

    def __init__(
        self,
        config: DenseNetConfig,
        save_memory: bool = False,
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        channels = config.stem_width
        features = OrderedDict(stem=config.stem(in_channels, channels))
        for number, depth in enumerate(config.depths, start=1):
            if number > 1:
                kept = int(config.compression * channels)
                features[f"transition{number - 1}"] = transition(channels, kept)
                channels = kept
            layers = []
            for _ in range(depth):
                layers.append(config.layer(channels, config.growth_rate, save_memory))
                channels += config.growth_rate
            features[f"block{number}"] = DenseBlock(layers)
        features["norm"] = nn.BatchNorm2d(channels)
        features["relu"] = nn.ReLU(inplace=True)
        super().__init__(
            nn.Sequential(features),
            pooled_head(channels, num_classes),
            num_classes=num_classes,
            in_channels=in_channels,
            smallest_input=config.smallest_input,
        )
        init_he_normal_(self)


@register
def densenet121(num_classes: int = 1000, in_channels: int = 3) -> DenseNet:
    """DenseNet-121 (table 1)."""
    return DenseNet(CONFIGS["densenet121"], num_classes=num_classes, in_channels=in_channels)


@register
def densenet161(num_classes: int = 1000, in_channels: int = 3) -> DenseNet:
    """DenseNet-161, which is among the authors' weights but not in table 1."""
    return DenseNet(CONFIGS["densenet161"], num_classes=num_classes, in_channels=in_channels)


@register
def densenet169(num_classes: int = 1000, in_channels: int = 3) -> DenseNet:
    """DenseNet-169 (table 1)."""
    return DenseNet(CONFIGS["densenet169"], num_classes=num_classes, in_channels=in_channels)


@register
def densenet201(num_classes: int = 1000, in_channels: int = 3) -> DenseNet:
    """DenseNet-201 (table 1)."""
    return DenseNet(CONFIGS["densenet201"], num_classes=num_classes, in_channels=in_channels)


@register
def densenet40_12(num_classes: int = 10, in_channels: int = 3) -> DenseNet:
    """DenseNet of 40 layers and growth rate 12 for CIFAR-10 (table 2)."""
    return DenseNet(CONFIGS["densenet40_12"], num_classes=num_classes, in_channels=in_channels)


@register
def densenet_bc100_12(num_classes: int = 10, in_channels: int = 3) -> DenseNet:
    """DenseNet-BC of 100 layers and growth rate 12 for CIFAR-10 (table 2)."""
    return DenseNet(CONFIGS["densenet_bc100_12"], num_classes=num_classes, in_channels=in_channels)
