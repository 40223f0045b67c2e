"""LeNet-5: where convolutional networks start.

Yann LeCun, Léon Bottou, Yoshua Bengio, Patrick Haffner: "Gradient-based learning applied to
document recognition", 1998, section II-B and figure 2. Named in the lecture's conclusion.

The idea: local receptive fields, shared weights and subsampling, trained end to end.

Differences from the paper: the output layer is fully connected. The paper compares F6 with fixed
bitmaps of the ten digits (radial basis functions), which other classes do not have. The average
pool after C5 makes images larger than 32 pixels possible; at 32 pixels it has no effect.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from convnets.layers import ImageClassifier
from convnets.registry import register

# Table I: the feature maps of S2, 6 in all, that each of the 16 feature maps of C3 reads.
C3_INPUTS = (
    (0, 1, 2),
    (1, 2, 3),
    (2, 3, 4),
    (3, 4, 5),
    (0, 4, 5),
    (0, 1, 5),
    (0, 1, 2, 3),
    (1, 2, 3, 4),
    (2, 3, 4, 5),
    (0, 3, 4, 5),
    (0, 1, 4, 5),
    (0, 1, 2, 5),
    (0, 1, 3, 4),
    (1, 2, 4, 5),
    (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)


class Squash(nn.Module):
    """A tanh(S x) with A = 1.7159 and S = 2/3 (equation 6 and appendix A), element by element."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(x * (2 / 3))


class Subsample(nn.Module):
    """The sum of each 2x2 window, times a trainable coefficient, plus a trainable bias.

    (N, channels, H, W) -> (N, channels, H // 2, W // 2). Each channel has a coefficient and a bias.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return 4 * nn.functional.avg_pool2d(x, 2) * self.weight + self.bias


class PartialConv(nn.Module):
    """A 5x5 convolution in which each output channel reads only some input channels (table I).

    (N, C, H, W) -> (N, len(inputs), H - 4, W - 4)

    Args:
        inputs: the input channels that each output channel reads, such as `C3_INPUTS`.
    """

    def __init__(self, inputs: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        self.inputs = inputs
        self.maps = nn.ModuleList(nn.Conv2d(len(read), 1, kernel_size=5) for read in inputs)

    def forward(self, x: Tensor) -> Tensor:
        maps = [conv(x[:, list(read)]) for read, conv in zip(self.inputs, self.maps, strict=True)]
        return torch.cat(maps, dim=1)


class LeNet5(ImageClassifier):
    """LeNet-5: (N, in_channels, H, W), H and W at least 32 -> (N, num_classes)."""

    def __init__(self, num_classes: int = 10, in_channels: int = 1) -> None:
        features = OrderedDict(
            c1=nn.Conv2d(in_channels, 6, kernel_size=5),  # 28
            squash1=Squash(),
            s2=Subsample(6),  # 14
            squash2=Squash(),
            c3=PartialConv(C3_INPUTS),  # 10
            squash3=Squash(),
            s4=Subsample(16),  # 5
            squash4=Squash(),
            c5=nn.Conv2d(16, 120, kernel_size=5),  # 1
            squash5=Squash(),
        )
        classifier = OrderedDict(
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            f6=nn.Linear(120, 84),
            squash6=Squash(),
            output=nn.Linear(84, num_classes),
        )
        super().__init__(
            nn.Sequential(features),
            nn.Sequential(classifier),
            num_classes=num_classes,
            in_channels=in_channels,
            smallest_input=32,
        )
        init_lecun_uniform_(self)


def init_lecun_uniform_(net: nn.Module) -> None:
    """Draw weights uniformly from -2.4/F to 2.4/F in place (appendix A); biases are 0.

    F is the number of inputs of a unit.
    """
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            limit = 2.4 / module.weight[0].numel()
            nn.init.uniform_(module.weight, -limit, limit)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
        elif isinstance(module, Subsample):
            nn.init.uniform_(module.weight, -2.4 / 4, 2.4 / 4)


@register
def lenet5(num_classes: int = 10, in_channels: int = 1) -> LeNet5:
    """LeNet-5 for the ten digits of MNIST (section II-B and figure 2)."""
    return LeNet5(num_classes, in_channels)
