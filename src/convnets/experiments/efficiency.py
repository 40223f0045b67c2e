"""Depthwise, grouped and shuffled convolutions: lecture slides 61 and 62."""

from torch import nn

from convnets.experiments.core import Arm, Budget, EqualCost, Experiment, Hypothesis
from convnets.experiments.networks import NORMALISED, SHORT, matched, of_width, stages
from convnets.layers import ChannelShuffle, conv_norm_act
from convnets.models.mobilenet import depthwise_separable
from convnets.models.shufflenet import HalvingShuffleUnit, ShuffleUnit


def full(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """A 3x3 convolution with batch norm and ReLU.

    (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride).
    """
    return conv_norm_act(in_channels, out_channels, 3, stride)


DEPTHWISE = Experiment(
    name="depthwise",
    question="What is lost if depthwise separable convolutions replace full ones, and what is "
    "gained if the savings are spent on width?",
    slides=(61,),
    metric="test accuracy",
    arms=(
        Arm("full", stages(full, 2)),
        Arm("depthwise, same widths", stages(depthwise_separable, 2)),
        Arm(
            "depthwise, same MACs",
            matched(
                lambda budget, width: of_width(depthwise_separable, budget, width, 2),
                stages(full, 2),
                "macs",
                range(4, 512),
            ),
        ),
    ),
    hypotheses=(
        Hypothesis("full", "depthwise, same widths"),
        Hypothesis("depthwise, same MACs", "full"),
    ),
    cpu=Budget(epochs=8, seeds=3, width=8, recipe=SHORT, images=4_000, stem_stride=2),
    gpu=Budget(epochs=30, seeds=5, width=32, recipe=NORMALISED, data="fashion-mnist"),
    equal=EqualCost("macs", ("full", "depthwise, same MACs")),
)

GROUPS = 4


def shuffled(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """A ShuffleNet unit with four groups.

    (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride).
    """
    if stride == 1:
        return ShuffleUnit(out_channels, GROUPS)
    return HalvingShuffleUnit(in_channels, out_channels, (GROUPS, GROUPS))


def shuffle_net(budget: Budget) -> nn.Module:
    """Three stages of three ShuffleNet units: (N, 1, 28, 28) -> (N, 10)."""
    return stages(shuffled, 3)(budget)


def without_shuffle(budget: Budget) -> nn.Module:
    """`shuffle_net` with identities in place of its channel shuffles.

    Within a unit, the groups do not exchange channels.
    """
    net = shuffle_net(budget)
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, ChannelShuffle):
                setattr(module, name, nn.Identity())
    return net


SHUFFLE = Experiment(
    name="shuffle",
    question="Do grouped convolutions need channel shuffles between them?",
    slides=(62,),
    metric="test accuracy",
    arms=(Arm("shuffled", shuffle_net), Arm("not shuffled", without_shuffle)),
    hypotheses=(Hypothesis("shuffled", "not shuffled"),),
    cpu=Budget(epochs=6, seeds=3, width=32, recipe=SHORT, images=4_000, stem_stride=2),
    gpu=Budget(epochs=30, seeds=5, width=64, recipe=NORMALISED, data="fashion-mnist"),
    equal=EqualCost("macs", ("shuffled", "not shuffled"), tolerance=0),
)

EXPERIMENTS = (DEPTHWISE, SHUFFLE)
