"""Hidden tests of the Inception modules: slides 25 to 31."""

from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn

from autograder.checks.blocks import BlockExercise, Case, Mistake, case
from autograder.checks.exercises.parts import conv
from autograder.checks.functions import Call, FunctionExercise, WrongFunction
from autograder.checks.student import Block, StudentError

POOLS: dict[str, Any] = {
    "max": partial(nn.MaxPool2d, 3, 1, 1),
    "average": partial(nn.AvgPool2d, 3, 1, 1),
}


class _Paths(nn.Module):
    """Parallel paths whose outputs are concatenated in some order."""

    def __init__(self, paths: list[nn.Module], order: tuple[int, ...], last_relu: bool) -> None:
        super().__init__()
        self.paths = nn.ModuleList(paths)
        self.order, self.last_relu = order, last_relu

    def forward(self, x: Tensor) -> Tensor:
        made = [path(x) for path in self.paths]
        out = torch.cat([made[number] for number in self.order], dim=1)
        return out.relu() if self.last_relu else out


def _convs(*sizes: tuple[int, int, int], bias: bool, norm: bool, relus: str) -> list[nn.Module]:
    """Return convolutions (in, out, kernel size), each with its batch norm and ReLU, if any."""
    layers: list[nn.Module] = []
    for number, (inputs, outputs, kernel_size) in enumerate(sizes, start=1):
        layers.append(conv(inputs, outputs, kernel_size, bias=bias))
        if norm:
            layers.append(nn.BatchNorm2d(outputs))
        if relus == "all" or (relus == "last" and number == len(sizes)):
            layers.append(nn.ReLU())
        elif relus == "6":
            layers.append(nn.ReLU6())
    return layers


def _naive(
    in_channels: int,
    c1: int,
    c3: int,
    c5: int,
    *,
    order: tuple[int, ...] = (0, 1, 2, 3),
    pool: str = "max",
    bias: bool = True,
    norm: bool = False,
    relus: str = "all",
    last_relu: bool = False,
) -> nn.Module:
    paths: list[nn.Module] = [
        nn.Sequential(*_convs((in_channels, width, size), bias=bias, norm=norm, relus=relus))
        for width, size in ((c1, 1), (c3, 3), (c5, 5))
    ]
    return _Paths([*paths, POOLS[pool]()], order, last_relu)


def _reduced(
    in_channels: int,
    c1: int,
    c3_reduce: int,
    c3: int,
    c5_reduce: int,
    c5: int,
    pool_proj: int,
    *,
    order: tuple[int, ...] = (0, 1, 2, 3),
    pool: str = "max",
    reduce_last: bool = False,
    project_first: bool = False,
    project_relu: bool = True,
    projected: bool = True,
    bias: bool = True,
    norm: bool = False,
    relus: str = "all",
) -> nn.Module:
    make = partial(_convs, bias=bias, norm=norm, relus=relus)

    def path(narrow: int, wide: int, size: int) -> nn.Module:
        if reduce_last:
            return nn.Sequential(*make((in_channels, narrow, size), (narrow, wide, 1)))
        return nn.Sequential(*make((in_channels, narrow, 1), (narrow, wide, size)))

    project = make((in_channels, pool_proj, 1)) if projected else []
    if not project_relu:
        project.pop()
    pooled = [*project, POOLS[pool]()] if project_first else [POOLS[pool](), *project]
    paths: list[nn.Module] = [
        nn.Sequential(*make((in_channels, c1, 1))),
        path(c3_reduce, c3, 3),
        path(c5_reduce, c5, 5),
        nn.Sequential(*pooled),
    ]
    return _Paths(paths, order, last_relu=False)


class _OneReduction(nn.Module):
    def __init__(self, in_channels: int, c1: int, narrow: int, c3: int, c5: int, last: int) -> None:
        super().__init__()
        self.one = conv(in_channels, c1, 1, bias=True)
        self.reduce = conv(in_channels, narrow, 1, bias=True)
        self.three = conv(narrow, c3, 3, bias=True)
        self.five = conv(narrow, c5, 5, bias=True)
        self.pool = nn.Sequential(POOLS["max"](), conv(in_channels, last, 1, bias=True))

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.reduce(x).relu()
        paths = (self.one(x), self.three(reduced), self.five(reduced), self.pool(x))
        return torch.cat(paths, dim=1).relu()


def _one_reduction(
    in_channels: int, c1: int, c3_reduce: int, c3: int, c5_reduce: int, c5: int, pool_proj: int
) -> nn.Module:
    return _OneReduction(in_channels, c1, c3_reduce, c3, c5, pool_proj)


ORDER = "The paths are concatenated in the wrong order: it is 1x1, 3x3, 5x5, pool (slide 26)."
AVERAGED = "The pool path uses average pooling: an Inception module uses max pooling (slide 26)."
NO_BIAS = (
    "The convolutions have no bias: without batch norm after them, they need one (GoogLeNet is "
    "older than batch norm)."
)
NORM = "The module has batch norm: GoogLeNet is older than batch norm and has none."
NO_RELU = (
    "No ReLU follows the convolutions: each has one, before the paths are concatenated (slide 26)."
)
RELU6 = "Activations are clipped at 6: that is ReLU6, which mobile networks use, not ReLU."


def _mistakes(build: Any) -> tuple[Mistake, ...]:
    """Return the mistakes that can be made in both modules."""

    def wrong(sentence: str, *costs: str, **changes: Any) -> Mistake:
        return Mistake(sentence, frozenset(costs), partial(build, **changes))

    orders = ((3, 0, 1, 2), (2, 1, 0, 3), (0, 2, 1, 3), (3, 2, 1, 0), (0, 1, 3, 2))
    return (
        *(wrong(ORDER, "values", order=order) for order in orders),
        wrong(AVERAGED, "values", pool="average"),
        wrong(NO_BIAS, "parameters", "values", bias=False),
        wrong(NORM, "parameters", "values", "modes", norm=True),
        wrong(NO_RELU, "values", relus="no"),
        wrong(RELU6, "values", relus="6"),
    )


def _why_paths_do_not_fit(case: Case, block: Block) -> str:
    try:
        block.forward(torch.zeros(1, case.channels, 9, 9, dtype=torch.float64))
    except StudentError as error:
        if "except in dimension 1" not in str(error):
            return (
                f"{block.label} concatenates its paths along height or width: the channels are the "
                "right dimension, so that each position has the features of all paths (slide 26)."
            )
    return (
        f"The outputs of the paths of {block.label} differ in size: each path keeps height and "
        "width, with stride 1 and a padding of half its kernel size, and so does the pool "
        "(slide 26)."
    )


NAIVE_INCEPTION = BlockExercise(
    "naive_inception",
    "NaiveInception",
    (case(5, 2, 3, 4), case(4, 6, 5, 3), case(3, 1, 2, 1)),
    (0.25, 0.75, 1.25, 0.5, 0.25),
    references=(_naive,),
    mistakes=(
        *_mistakes(_naive),
        Mistake(
            "A ReLU follows the concatenation, so the pool path loses its negative values: ReLUs "
            "follow only the convolutions (slide 26).",
            frozenset({"values"}),
            partial(_naive, relus="no", last_relu=True),
        ),
    ),
    shape_hint=_why_paths_do_not_fit,
)
INCEPTION = BlockExercise(
    "inception",
    "Inception",
    (case(6, 2, 3, 4, 1, 5, 2), case(8, 4, 2, 6, 3, 2, 5), case(5, 1, 4, 3, 2, 4, 3)),
    (0.5, 0.75, 1.75, 0.5, 0.5),
    references=(_reduced,),
    mistakes=(
        *_mistakes(_reduced),
        Mistake(
            "No ReLU follows the reductions: the 1x1 convolutions have one too, which adds a "
            "nonlinearity at no cost (slide 31).",
            frozenset({"values"}),
            partial(_reduced, relus="last"),
        ),
        Mistake(
            "The 1x1 convolutions come after the large ones: they come first, so that the large "
            "ones see fewer channels, which is the saving (slide 31).",
            frozenset({"parameters", "values"}),
            partial(_reduced, reduce_last=True),
        ),
        Mistake(
            "The pool path projects before it pools: the pool comes first (slide 31).",
            frozenset({"values"}),
            partial(_reduced, project_first=True),
        ),
        Mistake(
            "No ReLU follows the projection in the pool path: it is a convolution like the others "
            "(slide 31).",
            frozenset({"values"}),
            partial(_reduced, project_relu=False),
        ),
        Mistake(
            "The pool path has no projection: it passes on all input maps, so each module outputs "
            "more maps than the one before (slides 28 and 31).",
            frozenset({"shapes", "parameters", "values"}),
            partial(_reduced, projected=False),
        ),
        Mistake(
            "The 3x3 and 5x5 convolutions share one reduction: each has its own, with its own "
            "width (slide 31).",
            frozenset({"parameters", "values"}),
            _one_reduction,
        ),
    ),
    shape_hint=_why_paths_do_not_fit,
)


def _parameters(
    in_channels: int,
    c1: int,
    c3_reduce: int,
    c3: int,
    c5_reduce: int,
    c5: int,
    pool_proj: int,
    bias: bool = True,
) -> int:
    weights = in_channels * (c1 + c3_reduce + c5_reduce + pool_proj)
    weights += 9 * c3_reduce * c3 + 25 * c5_reduce * c5
    return weights + bias * (c1 + c3_reduce + c3 + c5_reduce + c5 + pool_proj)


def _parameter_calls(generator: Generator) -> list[Call]:
    sizes = [torch.randint(1, 200, (7,), generator=generator).tolist() for _ in range(4)]
    calls = [Call("with biases", tuple(each)) for each in sizes]
    calls += [Call("without", tuple(each), {"bias": False}) for each in sizes[:3]]
    return [*calls, Call("without", (*sizes[3], False))]


def _wrong_count(count: Any) -> Any:
    """Return a function that counts parameters from the sizes, with or without biases."""

    def function(*sizes: int, bias: bool = True) -> int:
        given = sizes[7] if len(sizes) == 8 else bias
        i, c1, r3, c3, r5, c5, p = sizes[:7]
        weights = _parameters(i, c1, r3, c3, r5, c5, p, bias=False)
        return int(count(weights, given, *sizes[:7]))

    return function


INCEPTION_PARAMETERS = FunctionExercise(
    "inception_parameters",
    "inception_parameters",
    _parameters,
    _parameter_calls,
    {"with biases": 1, "without": 1},
    (
        WrongFunction(
            "inception_parameters does not count biases: each convolution has one for each of its "
            "output channels (slide 31).",
            _wrong_count(lambda weights, bias, *sizes: weights),
        ),
        WrongFunction(
            "inception_parameters counts biases even with bias=False.",
            _wrong_count(lambda weights, bias, *sizes: weights + sum(sizes[1:])),
        ),
        WrongFunction(
            "inception_parameters counts one bias for each convolution: there is one for each "
            "output channel.",
            _wrong_count(lambda weights, bias, *sizes: weights + 6 * bias),
        ),
        WrongFunction(
            "inception_parameters forgets the projection after the pool (slide 31).",
            _wrong_count(
                lambda weights, bias, i, c1, r3, c3, r5, c5, p: (
                    weights - i * p + bias * (c1 + r3 + c3 + r5 + c5)
                )
            ),
        ),
        WrongFunction(
            "inception_parameters lets the 3x3 and 5x5 convolutions see all input channels: they "
            "see only the reduced channels (slide 31).",
            _wrong_count(
                lambda weights, bias, i, c1, r3, c3, r5, c5, p: (
                    i * (c1 + r3 + r5 + p)
                    + 9 * i * c3
                    + 25 * i * c5
                    + bias * (c1 + r3 + c3 + r5 + c5 + p)
                )
            ),
        ),
        WrongFunction(
            "inception_parameters forgets the area of the kernels: a 3x3 filter has nine weights "
            "for each channel (slide 18).",
            _wrong_count(
                lambda weights, bias, i, c1, r3, c3, r5, c5, p: (
                    i * (c1 + r3 + r5 + p) + r3 * c3 + r5 * c5 + bias * (c1 + r3 + c3 + r5 + c5 + p)
                )
            ),
        ),
    ),
)
EXERCISES = (NAIVE_INCEPTION, INCEPTION, INCEPTION_PARAMETERS)
