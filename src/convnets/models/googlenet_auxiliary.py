"""GoogLeNet's auxiliary classifiers: additional losses in the middle of the network in training.

Christian Szegedy et al.: "Going deeper with convolutions", 2015, section 5 and figure 3. Lecture
slide 33.

The idea: gradients of the last layer hardly reach the first layers of a deep network. Two small
classifiers on modules 4a and 4d give them gradients, and are removed after training.

Differences from the paper: the second pool of `auxiliary_head` makes other sizes possible; at 224
pixels it has no effect.
"""

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from convnets.models.googlenet import TABLE_1, GoogLeNet, conv_bn_relu, conv_relu, init_googlenet_

AUXILIARIES = ("4a", "4d")
"""The modules whose outputs the auxiliary classifiers read."""
AUXILIARY_WEIGHT = 0.3
"""Factor of each auxiliary loss in the total."""


def auxiliary_head(in_channels: int, num_classes: int) -> nn.Module:
    """The paper's auxiliary classifier: (N, in_channels, H, W) -> (N, num_classes).

    H and W are 14 for images of 224 pixels, and at least 5.
    """
    pool = nn.Sequential(nn.AvgPool2d(kernel_size=5, stride=3), nn.AdaptiveAvgPool2d(4))
    return _head(pool, conv_relu(in_channels, 128, 1), num_classes)


def auxiliary_head_bn(in_channels: int, num_classes: int) -> nn.Module:
    """The auxiliary classifier of torchvision: (N, in_channels, H, W) -> (N, num_classes)."""
    return _head(nn.AdaptiveAvgPool2d(4), conv_bn_relu(in_channels, 128, 1), num_classes)


def _head(pool: nn.Module, conv: nn.Module, num_classes: int) -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            pool=pool,  # 4
            conv=conv,
            flatten=nn.Flatten(),
            fc1=nn.Linear(128 * 4 * 4, 1024),
            relu=nn.ReLU(inplace=True),
            drop=nn.Dropout(0.7),
            fc2=nn.Linear(1024, num_classes),
        )
    )


class WithAuxiliaries(nn.Module):
    """A GoogLeNet with classifiers on modules 4a and 4d, for training.

    (N, in_channels, H, W) -> scores of the network, of the classifier on 4a and of the one on 4d,
    each (N, num_classes). After training, use `net` alone.

    Args:
        net: the network; its weights are shared, not copied.
        head: makes an auxiliary classifier from in_channels and num_classes.

    Raises:
        ValueError: when it is called, if the images do not fit the network.
    """

    def __init__(
        self, net: GoogLeNet, head: Callable[[int, int], nn.Module] = auxiliary_head
    ) -> None:
        super().__init__()
        self.net = net
        self.heads = nn.ModuleDict(
            {
                f"inception{name}": head(TABLE_1[name].out_channels, net.num_classes)
                for name in AUXILIARIES
            }
        )
        init_googlenet_(self.heads)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        self.net.check(x)
        auxiliary = []
        for name, layer in self.net.features.named_children():
            x = layer(x)
            if name in self.heads:
                auxiliary.append(self.heads[name](x))
        return self.net.classifier(x), *auxiliary


def loss_with_auxiliaries(scores: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """Cross entropy of the network, plus `AUXILIARY_WEIGHT` times that of each other classifier.

    Args:
        scores: the output of `WithAuxiliaries`, tensors (N, num_classes).
        labels: class indices (N,).

    Returns:
        A scalar tensor.
    """
    loss, *auxiliary = (cross_entropy(each, labels) for each in scores)
    return loss + AUXILIARY_WEIGHT * sum(auxiliary)
