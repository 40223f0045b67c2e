"""Hidden tests of VGG's block, the 1x1 convolution and global average pooling.

Slides 15 to 20, 29 and 34.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Generator, Tensor, nn

from autograder.checks.blocks import BlockExercise, Mistake, case
from autograder.checks.exercises.parts import conv
from autograder.checks.functions import Call, FunctionExercise, WrongFunction
from autograder.checks.student import CONVOLUTIONS


def _vgg(
    in_channels: int,
    out_channels: int,
    num_convs: int,
    *,
    kernel_size: int = 3,
    padded: bool = True,
    bias: bool = True,
    norm: bool = False,
    relus: str = "all",
    pool: nn.Module | None = None,
) -> nn.Module:
    """Build a VGG block, or one with a change.

    `relus` says where ReLUs are: after "all" convolutions, "no" convolution or the "last" one; "6"
    means ReLU6 after all of them.
    """
    layers: list[nn.Module] = []
    for number in range(num_convs):
        layers.append(
            nn.Conv2d(
                out_channels if number else in_channels,
                out_channels,
                kernel_size,
                padding=kernel_size // 2 if padded else 0,
                bias=bias,
            )
        )
        if norm:
            layers.append(nn.BatchNorm2d(out_channels))
        if relus == "all" or (relus == "last" and number == num_convs - 1):
            layers.append(nn.ReLU())
        elif relus == "6":
            layers.append(nn.ReLU6())
    return nn.Sequential(*layers, nn.MaxPool2d(2) if pool is None else pool)


def _wrong(sentence: str, *costs: str, **changes: Any) -> Mistake:
    def build(*sizes: int) -> nn.Module:
        return _vgg(*sizes, **changes)

    return Mistake(sentence, frozenset(costs), build)


def _pool_each(in_channels: int, out_channels: int, num_convs: int) -> nn.Module:
    sizes = [in_channels] + [out_channels] * num_convs
    blocks = (_vgg(a, b, 1) for a, b in pairwise(sizes))
    return nn.Sequential(*blocks)


def _shared(in_channels: int, out_channels: int, num_convs: int) -> nn.Module:
    again = conv(out_channels, out_channels, 3, bias=True)
    layers = [layer for _ in range(num_convs - 1) for layer in (again, nn.ReLU())]
    first = conv(in_channels, out_channels, 3, bias=True)
    return nn.Sequential(first, nn.ReLU(), *layers, nn.MaxPool2d(2))


def _widening_last(in_channels: int, out_channels: int, num_convs: int) -> nn.Module:
    narrow = _vgg(in_channels, in_channels, num_convs - 1, pool=nn.Identity())
    return nn.Sequential(narrow, _vgg(in_channels, out_channels, 1))


def _strided(in_channels: int, out_channels: int, num_convs: int) -> nn.Module:
    block = _vgg(in_channels, out_channels, num_convs, pool=nn.Identity())
    last = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)][-1]
    last.stride = (2, 2)
    return block


VGG_BLOCK = BlockExercise(
    "vgg_block",
    "vgg_block",
    (case(3, 5, 1), case(4, 6, 2), case(5, 5, 3)),
    (0.5, 1, 1.5, 0.5, 0.5),
    references=(_vgg,),
    mistakes=(
        _wrong(
            "Only the last convolution is followed by a ReLU: each needs one, which is why several "
            "small filters do more than one large filter (slide 18).",
            "values",
            relus="last",
        ),
        _wrong("No ReLU follows the convolutions: each has one (slide 18).", "values", relus="no"),
        _wrong(
            "Activations are clipped at 6: that is ReLU6, which mobile networks use, not ReLU.",
            "values",
            relus="6",
        ),
        _wrong(
            "The block ends with average pooling: VGG uses max pooling (slide 17).",
            "values",
            pool=nn.AvgPool2d(2),
        ),
        _wrong(
            "The pooling windows overlap: VGG's are 2x2 with stride 2 (slide 17).",
            "values",
            pool=nn.MaxPool2d(3, 2, 1),
        ),
        _wrong(
            "There is no pooling at the end: 2x2 max pooling halves the maps (slide 17).",
            "shapes",
            "values",
            pool=nn.Identity(),
        ),
        Mistake(
            "The maps are pooled after every convolution: there is only one pool, at the end "
            "(slide 17).",
            frozenset({"shapes", "values"}),
            _pool_each,
        ),
        Mistake(
            "The last convolution halves the maps with a stride: VGG's convolutions have stride 1, "
            "and max pooling halves the maps (slide 17).",
            frozenset({"values"}),
            _strided,
        ),
        _wrong(
            "Each convolution shrinks the maps: with padding 1, a 3x3 convolution keeps their size "
            "(slide 17).",
            "shapes",
            "values",
            padded=False,
        ),
        Mistake(
            "The later convolutions share one set of weights: each has its own (slide 20).",
            frozenset({"parameters", "values", "gradients"}),
            _shared,
        ),
        Mistake(
            "The last convolution changes the number of channels: the first one should, and the "
            "others keep out_channels (slide 20).",
            frozenset({"parameters", "values"}),
            _widening_last,
        ),
        _wrong(
            "The convolutions have no bias: without batch norm after them, they need one.",
            "parameters",
            "values",
            bias=False,
        ),
        _wrong(
            "The block has batch norm: VGG is older than batch norm and has none.",
            "parameters",
            "values",
            "modes",
            norm=True,
        ),
        _wrong(
            "The filters are 5x5: VGG uses only 3x3 filters, two of which see as much (slide 18).",
            "parameters",
            "values",
            kernel_size=5,
        ),
    ),
    sizes=((2, 8, 8), (1, 9, 9), (3, 8, 12), (2, 17, 10)),
)


def _matmul(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    out = torch.einsum("oi,nihw->nohw", weight, x)
    return out if bias is None else out + bias[:, None, None]


def _matmul_calls(generator: Generator) -> list[Call]:
    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    x, square, weight, bias = normal(2, 4, 3, 5), normal(2, 4, 4, 4), normal(6, 4), normal(6)
    turned = normal(2, 5, 3, 4).permute(0, 3, 2, 1)
    calls = [Call("values", (each, weight)) for each in (x, normal(1, 4, 7, 2), turned)]
    calls += [Call("values", (x.float(), weight.float())), Call("values", (square, normal(4, 4)))]
    calls += [Call("bias", (each, weight, bias)) for each in (x, turned)]
    calls += [Call("bias", (x, weight), {"bias": bias}), Call("bias", (square, weight, bias))]
    return [*calls, Call("gradients", (x, weight, bias), gradients=True)]


CONV1X1_AS_MATMUL = FunctionExercise(
    "conv1x1_as_matmul",
    "conv1x1_as_matmul",
    _matmul,
    _matmul_calls,
    {"values": 1.5, "bias": 0.75, "gradients": 0.75},
    (
        WrongFunction(
            "conv1x1_as_matmul leaves out the bias: it is added to every pixel of its map (slide "
            "29).",
            lambda x, weight, bias=None: _matmul(x, weight),
        ),
        WrongFunction(
            "conv1x1_as_matmul mixes pixels instead of channels: at each pixel, the weights turn "
            "the input channels into output channels (slide 29).",
            lambda x, weight, bias=None: _matmul(
                x.reshape(x.shape[0], -1, x.shape[1]).transpose(1, 2).reshape(x.shape), weight, bias
            ),
        ),
        WrongFunction(
            "conv1x1_as_matmul scrambles the output: channels come before height and width, and "
            "reshape does not permute dimensions.",
            lambda x, weight, bias=None: (
                _matmul(x, weight, bias)
                .permute(0, 2, 3, 1)
                .reshape(len(x), len(weight), *x.shape[2:])
            ),
        ),
        WrongFunction(
            "conv1x1_as_matmul transposes the weights: their shape is (out, C).",
            lambda x, weight, bias=None: _matmul(x, weight.T, bias),
        ),
    ),
    forbidden=CONVOLUTIONS,
)


def _pool_calls(generator: Generator) -> list[Call]:
    sizes = ((2, 3, 4, 4), (1, 5, 7, 3), (3, 1, 1, 1), (2, 4, 5, 6))
    inputs = [torch.randn(*size, generator=generator, dtype=torch.float64) for size in sizes]
    turned = inputs[3].transpose(1, 3)
    calls = [Call("values", (x,)) for x in (*inputs, inputs[0].float(), turned)]
    return calls + [Call("gradients", (x,), gradients=True) for x in inputs[:2]]


GLOBAL_AVERAGE_POOL = FunctionExercise(
    "global_average_pool",
    "global_average_pool",
    lambda x: x.mean(dim=(2, 3)),
    _pool_calls,
    {"values": 1.5, "gradients": 0.5},
    (
        WrongFunction(
            "global_average_pool uses max pooling: it should average each map (slide 34).",
            lambda x: x.amax(dim=(2, 3)),
        ),
        WrongFunction(
            "global_average_pool sums without dividing by the number of pixels (slide 34).",
            lambda x: x.sum(dim=(2, 3)),
        ),
        WrongFunction(
            "global_average_pool keeps height and width as dimensions of size 1: the result is (N, "
            "C).",
            lambda x: x.mean(dim=(2, 3), keepdim=True),
        ),
        WrongFunction(
            "global_average_pool averages over the channels too: each map has its own average "
            "(slide 34).",
            lambda x: x.mean(dim=(1, 2, 3)),
        ),
        WrongFunction(
            "global_average_pool averages over the height only: each map is averaged over height "
            "and width (slide 34).",
            lambda x: x.mean(dim=2),
        ),
    ),
)
EXERCISES = (VGG_BLOCK, CONV1X1_AS_MATMUL, GLOBAL_AVERAGE_POOL)
