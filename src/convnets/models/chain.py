"""A plain chain of 3x3 convolutions: the test bench on which activations are compared.

No architecture of the lecture, so it is not registered. Lecture slides 9 to 12.
"""

from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from convnets.layers import ACTIVATIONS, ImageClassifier


class Chain(ImageClassifier):
    """`depth` convolutions of the same width, each followed by an activation.

    (N, in_channels, H, W) -> (N, num_classes). The first convolution has stride 2, and so has the
    one in the middle; there is no batch norm unless asked for, so that the activation must keep the
    signal alive by itself.

    Args:
        activation: a name in `convnets.layers.ACTIVATIONS`, or a function that makes the module.
        depth: number of convolutions, at least 1.
        width: channels of each.
        batch_norm: batch norm between convolution and activation.

    Raises:
        ValueError: an unknown activation, or a depth below 1.
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
        classifier = OrderedDict(
            pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(width, num_classes)
        )
        super().__init__(
            nn.Sequential(features),
            nn.Sequential(classifier),
            num_classes=num_classes,
            in_channels=in_channels,
        )
        init_chain_(self)


def init_chain_(net: Chain) -> None:
    """Each activation's own: Glorot for sigmoid and tanh, LeCun for SELU, else He; biases 0.

    Glorot & Bengio, 2010, equation 16; Klambauer et al., 2017, section 3; He et al., 2015,
    equations 10 and 15 (for the slope that a leaky unit starts with).
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
        return activation.weight.mean().item()
    return float(getattr(activation, "negative_slope", 0.0))
