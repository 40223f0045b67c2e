"""A plain chain of 3x3 convolutions, on which activation functions are compared.

It is not an architecture of the lecture, so it is not registered. Lecture slides 9 to 12.
"""

from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from convnets.layers import ACTIVATIONS, ImageClassifier, pooled_head


class Chain(ImageClassifier):
    """`depth` convolutions of the same width, each followed by an activation.

    (N, in_channels, H, W) -> (N, num_classes). The first convolution and the one in the middle have
    stride 2. Without batch norm, only the activation and the initialisation determine whether
    signals and gradients vanish.

    Args:
        activation: a name in `convnets.layers.ACTIVATIONS`, or a function that makes the module.
        depth: number of convolutions, at least 1.
        width: number of channels of each convolution.
        batch_norm: put a batch norm between each convolution and its activation.

    Raises:
        ValueError: if the activation is unknown, or `depth` is below 1.
    """

    def __init__(
        self,
        activation: str | Callable[[], nn.Module],
        depth: int = 10,
        width: int = 32,
        batch_norm: bool = False,
        num_classes: int = 10,
        in_channels: int = 1,
    ) -> None:
        if isinstance(activation, str):
            if activation not in ACTIVATIONS:
                raise ValueError(
                    f"unknown activation {activation!r}; choose one of {', '.join(ACTIVATIONS)}"
                )
            activation = ACTIVATIONS[activation]
        if depth < 1:
            raise ValueError(f"a chain needs at least one convolution, got {depth}")
        features: OrderedDict[str, nn.Module] = OrderedDict()
        for number in range(1, depth + 1):
            stride = 2 if number in (1, depth // 2 + 1) else 1
            features[f"conv{number}"] = nn.Conv2d(
                in_channels if number == 1 else width, width, 3, stride, padding=1
            )
            if batch_norm:
                features[f"norm{number}"] = nn.BatchNorm2d(width)
            features[f"act{number}"] = activation()
        super().__init__(
            nn.Sequential(features),
            pooled_head(width, num_classes),
            num_classes=num_classes,
            in_channels=in_channels,
        )
        init_chain_(self)


def init_chain_(net: Chain) -> None:
    """Initialise a chain in place for its activation: Glorot, LeCun or He; biases are 0.

    Sigmoid and tanh: Glorot & Bengio, 2010, equation 16. SELU: LeCun's initialisation, as in
    Klambauer et al., 2017, section 3. All others: He et al., 2015, equation 10, or equation 15 with
    the initial slope of a leaky ReLU or PReLU.
    """
    activation = net.features.get_submodule("act1")
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            if isinstance(activation, (nn.Sigmoid, nn.Tanh)):
                nn.init.xavier_normal_(module.weight)
            elif isinstance(activation, nn.SELU):
                nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
            else:
                slope = _negative_slope(activation)
                nn.init.kaiming_normal_(module.weight, a=slope, nonlinearity="leaky_relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)


def _negative_slope(activation: nn.Module) -> float:
    if isinstance(activation, nn.PReLU):
        return activation.init
    return float(getattr(activation, "negative_slope", 0.0))
