"""Hidden tests of depthwise convolutions, shuffle units and compound scaling (slides 61 to 65)."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d, relu

from autograder.checks.blocks import BlockExercise, Build, Mistake, case
from autograder.checks.exercises.parts import ALL_BUT_SHAPES, conv, norm
from autograder.checks.functions import Call, FunctionExercise, WrongFunction


def _separable(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        conv(in_channels, in_channels, 3, stride, groups=in_channels),
        norm(in_channels),
        nn.ReLU(),
        conv(in_channels, out_channels, 1),
        norm(out_channels),
        nn.ReLU(),
    )


def _separable_without(*numbers: int) -> Build:
    """Return a builder that leaves out some of the layers, counted from 0."""

    def build(in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
        layers = _separable(in_channels, out_channels, stride)
        return nn.Sequential(*(layer for i, layer in enumerate(layers) if i not in numbers))

    return build


def _separable_of(
    layers: Callable[[int, int, int], tuple[nn.Module, nn.Module, int]],
) -> Build:
    """Return a builder of two convolutions; `layers` makes them and the channels between them."""

    def build(in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
        first, second, between = layers(in_channels, out_channels, stride)
        return nn.Sequential(first, norm(between), nn.ReLU(), second, norm(out_channels), nn.ReLU())

    return build


DEPTHWISE_SEPARABLE_CONV = BlockExercise(
    "depthwise_separable_conv",
    "DepthwiseSeparableConv",
    (case(5, 8), case(6, 6), case(4, 10, stride=2), case(6, 6, stride=2)),
    (0.25, 0.75, 1.25, 0.25, 0.5),
    references=(_separable,),
    mistakes=(
        Mistake(
            "The 3x3 convolution mixes channels: a depthwise convolution has one filter for each "
            "channel (slide 61).",
            frozenset({"parameters", "values"}),
            _separable_of(lambda i, o, s: (conv(i, i, 3, s), conv(i, o, 1), i)),
        ),
        Mistake(
            "The depthwise convolution makes two maps of each channel: it should make one (slide "
            "61).",
            frozenset({"parameters", "values"}),
            _separable_of(
                lambda i, o, s: (conv(i, 2 * i, 3, s, groups=i), conv(2 * i, o, 1), 2 * i)
            ),
        ),
        Mistake(
            "The 1x1 convolution comes first: filter each channel, then mix them (slide 61).",
            frozenset({"parameters", "values"}),
            _separable_of(lambda i, o, s: (conv(i, o, 1), conv(o, o, 3, s, groups=o), o)),
        ),
        Mistake(
            "The stride is on the 1x1 convolution, which discards results of the 3x3 convolution: "
            "it belongs on the depthwise convolution (slide 61).",
            frozenset({"values", "modes"}),
            _separable_of(lambda i, o, s: (conv(i, i, 3, groups=i), conv(i, o, 1, s), i)),
        ),
        Mistake(
            "There is no ReLU between the depthwise and the 1x1 convolution: each batch norm is "
            "followed by one (slide 61).",
            frozenset({"values"}),
            _separable_without(2),
        ),
        Mistake(
            "There is no ReLU at the end: each batch norm is followed by one (slide 61).",
            frozenset({"values"}),
            _separable_without(5),
        ),
        Mistake(
            "No batch norm follows the depthwise convolution: there is one after each convolution "
            "(slide 61).",
            frozenset({"parameters", "modes"}),
            _separable_without(1),
        ),
        Mistake(
            "There is no batch norm: both convolutions have one (slide 61).",
            ALL_BUT_SHAPES,
            _separable_without(1, 4),
        ),
    ),
)


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """The reference that other exercises may use: (N, C, H, W) -> (N, C, H, W).

    Its source is run on the student's side, so it uses no names of this module.

    Raises:
        ValueError: the groups do not divide the channels.
    """
    batch, channels, height, width = x.shape
    if channels % groups:
        raise ValueError("the groups must divide the channels")
    split = x.reshape(batch, groups, channels // groups, height, width)
    return split.transpose(1, 2).reshape(batch, channels, height, width)


def _inverse_shuffle(x: Tensor, groups: int) -> Tensor:
    if x.shape[1] % groups:
        raise ValueError
    return channel_shuffle(x, x.shape[1] // groups)


def _unchecked_shuffle(x: Tensor, groups: int) -> Tensor:
    kept = x.shape[1] // groups * groups
    return channel_shuffle(x[:, :kept], groups)


def _reversed(x: Tensor, groups: int) -> Tensor:
    if x.shape[1] % groups:
        raise ValueError
    split = x.unflatten(1, (groups, -1))
    return split.flip(1).flatten(1, 2)


def _shuffle_calls(generator: Generator) -> list[Call]:
    def images(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    inputs = [(images(2, 12, 3, 5), 3), (images(1, 8, 4, 4), 2), (images(3, 12, 2, 2), 4)]
    turned = images(2, 5, 3, 12).permute(0, 3, 1, 2)
    calls = [Call("values", (x, groups)) for x, groups in inputs]
    calls += [Call("values", (turned, 6)), Call("values", (images(2, 6, 3, 3), 1))]
    calls += [Call("gradients", (x, groups), gradients=True) for x, groups in inputs]
    calls += [Call("errors", (images(1, 6, 2, 2), groups), impossible=True) for groups in (4, 5)]
    return calls


CHANNEL_SHUFFLE = FunctionExercise(
    "channel_shuffle",
    "channel_shuffle",
    channel_shuffle,
    _shuffle_calls,
    {"values": 1, "gradients": 0.5, "errors": 0.5},
    (
        WrongFunction(
            "channel_shuffle computes the inverse permutation: it gathers channels instead of "
            "spreading each group over all groups (slide 62).",
            _inverse_shuffle,
        ),
        WrongFunction(
            "channel_shuffle changes the order of the groups, but keeps the channels of each "
            "together: the groups exchange nothing (slide 62).",
            _reversed,
        ),
        WrongFunction(
            "channel_shuffle returns its input: a reshape to groups and back changes nothing "
            "unless the two dimensions are transposed in between (slide 62).",
            lambda x, groups: x if x.shape[1] % groups == 0 else int("no"),
        ),
    ),
)


class _Unit(nn.Module):
    """A shuffle unit, correct by default, or with one change."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        groups: int,
        stride: int = 1,
        *,
        shuffles: bool = True,
        shuffle_late: bool = False,
        second_groups: bool = True,
        relu_after_depthwise: bool = False,
        relu_before_join: bool = False,
        last_relu: bool = True,
        input_first: bool = True,
        pool: Callable[..., Tensor] = avg_pool2d,
        count_padding: bool = True,
        divisor: int = 4,
    ) -> None:
        super().__init__()
        made = out_channels - in_channels if stride > 1 else out_channels
        width = out_channels // divisor
        self.first, self.norm1 = conv(in_channels, width, 1, groups=groups), norm(width)
        self.depthwise, self.norm2 = conv(width, width, 3, stride, groups=width), norm(width)
        self.last = conv(width, made, 1, groups=groups if second_groups else 1)
        self.norm3 = norm(made)
        self.groups, self.stride = groups, stride
        self.shuffles, self.shuffle_late = shuffles, shuffle_late
        self.relu_after_depthwise, self.relu_before_join = relu_after_depthwise, relu_before_join
        self.last_relu, self.input_first = last_relu, input_first
        self.pool, self.count_padding = pool, count_padding

    def forward(self, x: Tensor) -> Tensor:
        branch = relu(self.norm1(self.first(x)))
        if self.shuffles and not self.shuffle_late:
            branch = channel_shuffle(branch, self.groups)
        branch = self.norm2(self.depthwise(branch))
        if self.relu_after_depthwise:
            branch = relu(branch)
        if self.shuffles and self.shuffle_late:
            branch = channel_shuffle(branch, self.groups)
        branch = self.norm3(self.last(branch))
        if self.relu_before_join:
            branch = relu(branch)
        if self.stride == 1:
            joined = x + branch
        else:
            parts = [self._pooled(x), branch]
            joined = torch.cat(parts if self.input_first else parts[::-1], dim=1)
        return relu(joined) if self.last_relu else joined

    def _pooled(self, x: Tensor) -> Tensor:
        if self.pool is max_pool2d:
            return max_pool2d(x, 3, 2, 1)
        return avg_pool2d(x, 3, 2, 1, count_include_pad=self.count_padding)


def _unit(sentence: str, costs: frozenset[str], **changes: Any) -> Mistake:
    return Mistake(sentence, costs, partial(_Unit, **changes))


VALUES = frozenset({"values"})
SHUFFLE_UNIT = BlockExercise(
    "shuffle_unit",
    "ShuffleUnit",
    (
        case(12, 12, 3),
        case(16, 16, 2, stride=1),
        case(9, 36, 3, stride=2),
        case(8, 24, 2, stride=2),
    ),
    (0.5, 0.75, 1.75, 0.5, 0.5),
    references=(_Unit,),
    mistakes=(
        _unit(
            "The channels are not shuffled: without a shuffle, no group sees the channels of the "
            "others (slide 62).",
            VALUES,
            shuffles=False,
        ),
        _unit(
            "The shuffle comes after the depthwise convolution: it follows the first grouped "
            "convolution (slide 62).",
            VALUES,
            shuffle_late=True,
        ),
        _unit(
            "The last 1x1 convolution is not grouped: both 1x1 convolutions are, which is where "
            "the saving comes from (slide 62).",
            frozenset({"parameters", "values"}),
            second_groups=False,
        ),
        _unit(
            "A ReLU follows the depthwise convolution: only batch norm does (slide 62).",
            VALUES,
            relu_after_depthwise=True,
        ),
        _unit(
            "The branch ends with a ReLU: the ReLU comes after the addition or the concatenation "
            "(slide 62).",
            VALUES,
            relu_before_join=True,
        ),
        _unit(
            "There is no ReLU at the end: one follows the addition or concatenation (slide 62).",
            VALUES,
            last_relu=False,
        ),
        _unit(
            "The branch comes before the pooled input in the concatenation: the input comes first.",
            VALUES,
            input_first=False,
        ),
        _unit(
            "The shortcut of a unit with stride 2 uses max pooling: it should use average pooling "
            "(slide 62).",
            VALUES,
            pool=max_pool2d,
        ),
        _unit(
            "The average pool does not count its padding: the zeros at the border count, as is "
            "PyTorch's default.",
            VALUES,
            count_padding=False,
        ),
        _unit(
            "The hidden width is not a quarter of the output: it is out_channels // 4 for both "
            "strides (slide 62).",
            frozenset({"parameters", "values"}),
            divisor=2,
        ),
    ),
    builds_on={"channel_shuffle": channel_shuffle},
)


def _compound(
    phi: float, alpha: float = 1.2, beta: float = 1.1, gamma: float = 1.15
) -> tuple[float, float, float]:
    return alpha**phi, beta**phi, gamma**phi


def _scaling_calls(generator: Generator) -> list[Call]:
    phis = torch.rand(4, generator=generator).mul(4).tolist()
    calls = [Call("values", (phi,)) for phi in (0, 1, 3, *phis)]
    others = torch.rand(3, generator=generator).add(1).tolist()
    calls += [Call("values", (phis[0], *others))]
    names = ("alpha", "beta", "gamma")
    return [*calls, Call("values", (2,), dict(zip(names, others, strict=True)))]


COMPOUND_SCALING = FunctionExercise(
    "compound_scaling",
    "compound_scaling",
    _compound,
    _scaling_calls,
    {"values": 1},
    (
        WrongFunction(
            "compound_scaling multiplies by phi: phi is the exponent, so that every step "
            "multiplies the cost by the same factor (slide 65).",
            lambda phi, alpha=1.2, beta=1.1, gamma=1.15: (alpha * phi, beta * phi, gamma * phi),
        ),
        WrongFunction(
            "compound_scaling returns the multipliers in the wrong order: it is depth, width, "
            "resolution.",
            lambda phi, alpha=1.2, beta=1.1, gamma=1.15: (beta**phi, alpha**phi, gamma**phi),
        ),
        WrongFunction(
            "compound_scaling squares width and resolution: the cost grows with their squares, but "
            "the multipliers are not squared (slide 65).",
            lambda phi, alpha=1.2, beta=1.1, gamma=1.15: (
                alpha**phi,
                beta ** (2 * phi),
                gamma ** (2 * phi),
            ),
        ),
        WrongFunction(
            "compound_scaling returns the same number for all three: each dimension has its own "
            "base (slide 65).",
            lambda phi, alpha=1.2, beta=1.1, gamma=1.15: (alpha**phi,) * 3,
        ),
    ),
)
EXERCISES = (DEPTHWISE_SEPARABLE_CONV, CHANNEL_SHUFFLE, SHUFFLE_UNIT, COMPOUND_SCALING)
