"""Hidden tests of the arithmetic of convolutions: slides 4 to 8, 18 and 20."""

from typing import Any

import torch
from torch import Generator

from autograder.checks.functions import Call, FunctionExercise, WrongFunction


def conv_output_size(
    size: int, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> int:
    """Return the output size of a convolution in pixels; `alexnet_shapes` may use it.

    Raises:
        ValueError: the kernel is larger than the padded input.
    """
    covered = dilation * (kernel_size - 1) + 1
    if size + 2 * padding < covered:
        raise ValueError("the kernel does not fit")
    return (size + 2 * padding - covered) // stride + 1


def _pick(generator: Generator, *bounds: tuple[int, int]) -> tuple[int, ...]:
    """Draw an integer from each range; both bounds are included."""
    return tuple(int(torch.randint(a, b + 1, (), generator=generator)) for a, b in bounds)


def _size_calls(generator: Generator) -> list[Call]:
    calls = [Call("values", some, lenient=True) for some in ((227, 11, 4), (27, 5, 1, 2), (7, 7))]
    drawn = [
        _pick(generator, (20, 90), (2, 7), (2, 5), (1, 4), dilations)
        for dilations in ((1, 1), (1, 1), (2, 3), (2, 3))
    ]
    # Sizes with every remainder of a stride of 3, which the random sizes may miss.
    drawn += [(40 + rest, 4, 3, 1, dilation) for rest in range(3) for dilation in (1, 2)]
    calls += [Call("values", some[: 5 if some[4] > 1 else 4], lenient=True) for some in drawn]
    calls += [Call("values", (33, 3), {"dilation": 4, "padding": 4}, lenient=True)]
    calls += [Call("an int", some) for some in drawn]
    impossible = [(4, 5), (2, 7, 1, 2), (6, 3, 2, 0, 3), (1, 2, 3), (3, 9, 4, 2)]
    return calls + [Call("errors", some, impossible=True) for some in impossible]


def _naive_size(rounding: Any = None, **changes: Any) -> Any:
    """Return a function that computes the size by a wrong formula."""

    def function(
        size: int, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1
    ) -> int:
        pads = changes.get("pads", 2) * padding
        covered = {
            "correct": dilation * (kernel_size - 1) + 1,
            "without dilation": kernel_size,
            "kernel_size gaps": dilation * kernel_size,
        }[changes.get("covers", "correct")]
        room = size + pads - covered
        if room < 0 and changes.get("checked", True):
            raise ValueError("the kernel does not fit")
        steps = -(-room // stride) if rounding == "up" else room // stride
        return int(steps + changes.get("plus", 1))

    return function


CONV_OUTPUT_SIZE = FunctionExercise(
    "conv_output_size",
    "conv_output_size",
    conv_output_size,
    _size_calls,
    {"values": 1.25, "an int": 0.25, "errors": 0.5},
    (
        WrongFunction(
            "conv_output_size rounds up: a window that does not fit completely is left out (slide "
            "5).",
            _naive_size("up"),
        ),
        WrongFunction(
            "conv_output_size omits the first position of the window: add 1 to the count of steps.",
            _naive_size(plus=0),
        ),
        WrongFunction(
            "conv_output_size adds the padding on one side only: both sides are padded.",
            _naive_size(pads=1),
        ),
        WrongFunction(
            "conv_output_size ignores the dilation, which spreads the kernel over more pixels.",
            _naive_size(covers="without dilation"),
        ),
        WrongFunction(
            "conv_output_size spreads the kernel too far: dilation widens the gaps between the "
            "pixels of the kernel, and there are kernel_size - 1 of them.",
            _naive_size(covers="kernel_size gaps"),
        ),
        WrongFunction(
            "conv_output_size returns a size where the kernel is larger than the padded input: "
            "raise a ValueError that says why.",
            _naive_size(checked=False),
        ),
    ),
)


def _conv_parameters(
    in_channels: int, out_channels: int, kernel_size: int, groups: int = 1, bias: bool = True
) -> int:
    return out_channels * (in_channels // groups) * kernel_size**2 + bool(bias) * out_channels


def _parameter_calls(generator: Generator) -> list[Call]:
    calls = []
    for _ in range(4):
        groups, i, o, kernel_size = _pick(generator, (2, 5), (2, 9), (2, 9), (2, 7))
        plain = (groups * i, groups * o + groups, kernel_size)
        calls += [Call("weights", plain, {"bias": False}, lenient=True)]
        calls += [Call("biases", plain, lenient=True)]
        calls += [Call("groups, an int", (*plain, groups, bias)) for bias in (True, False)]
    return calls


def _wrong_parameters(weights: Any, biases: Any) -> Any:
    def function(i: int, o: int, k: int, groups: int = 1, bias: bool = True) -> int:
        return int(weights(i, o, k, groups) + biases(i, o, groups, bias))

    return function


def _weights(i: int, o: int, k: int, groups: int) -> int:
    return o * (i // groups) * k * k


def _biases(i: int, o: int, groups: int, bias: bool) -> int:
    return o * bool(bias)


CONV_PARAMETERS = FunctionExercise(
    "conv_parameters",
    "conv_parameters",
    _conv_parameters,
    _parameter_calls,
    {"weights": 0.5, "biases": 0.25, "groups, an int": 0.25},
    (
        WrongFunction(
            "conv_parameters ignores the groups: each filter sees only the channels of its own "
            "group, as in AlexNet's two towers (slide 7).",
            _wrong_parameters(lambda i, o, k, groups: o * i * k * k, _biases),
        ),
        WrongFunction(
            "conv_parameters divides by the groups twice: the filters of a group see fewer input "
            "channels, but the number of filters stays the same.",
            _wrong_parameters(
                lambda i, o, k, groups: (o // groups) * (i // groups) * k * k, _biases
            ),
        ),
        WrongFunction(
            "conv_parameters leaves out the biases: each filter has one (slide 5).",
            _wrong_parameters(_weights, lambda *_: 0),
        ),
        WrongFunction(
            "conv_parameters counts the biases even with bias=False.",
            _wrong_parameters(_weights, lambda i, o, groups, bias: o),
        ),
        WrongFunction(
            "conv_parameters counts a bias for each input channel: each filter has one.",
            _wrong_parameters(_weights, lambda i, o, groups, bias: i * bool(bias)),
        ),
        WrongFunction(
            "conv_parameters counts a single bias: each filter has one.",
            _wrong_parameters(_weights, lambda i, o, groups, bias: int(bias)),
        ),
        WrongFunction(
            "conv_parameters treats the kernel as one-dimensional: it has a height and a width "
            "(slide 5).",
            _wrong_parameters(lambda i, o, k, groups: o * (i // groups) * k, _biases),
        ),
    ),
)


def _conv_macs(
    in_channels: int, out_channels: int, kernel_size: int, output_size: int, groups: int = 1
) -> int:
    return out_channels * (in_channels // groups) * kernel_size**2 * output_size**2


def _mac_calls(generator: Generator) -> list[Call]:
    calls = []
    for _ in range(4):
        groups, i, o, kernel_size, size = _pick(generator, (2, 5), (2, 9), (2, 9), (2, 7), (5, 60))
        plain = (groups * i, groups * o + groups, kernel_size, size)
        calls += [Call("values", plain, lenient=True), Call("an int", plain)]
        calls += [Call("groups", (*plain, groups), lenient=True)]
        calls += [Call("groups", plain, {"groups": groups}, lenient=True)]
    return calls


def _wrong_macs(count: Any) -> Any:
    def function(i: int, o: int, k: int, size: int, groups: int = 1) -> int:
        return int(count(_conv_macs(i, o, k, size, groups), i, o, k, size, groups))

    return function


CONV_MACS = FunctionExercise(
    "conv_macs",
    "conv_macs",
    _conv_macs,
    _mac_calls,
    {"values": 0.5, "groups": 0.25, "an int": 0.25},
    (
        WrongFunction(
            "conv_macs counts multiplications and additions separately: one of each together is "
            "one multiply-accumulate (MAC).",
            _wrong_macs(lambda macs, *_: 2 * macs),
        ),
        WrongFunction(
            "conv_macs treats the output as one-dimensional: it has a height and a width.",
            _wrong_macs(lambda macs, i, o, k, size, groups: macs // size),
        ),
        WrongFunction(
            "conv_macs counts only one position of the output: the filters are applied at every "
            "position (slide 5).",
            _wrong_macs(lambda macs, i, o, k, size, groups: macs // size**2),
        ),
        WrongFunction(
            "conv_macs counts the biases, which the exercise leaves out.",
            _wrong_macs(lambda macs, i, o, k, size, groups: macs + o * size**2),
        ),
        WrongFunction(
            "conv_macs ignores the groups: each filter sees only the channels of its own group "
            "(slide 7).",
            _wrong_macs(lambda macs, i, o, k, size, groups: o * i * k**2 * size**2),
        ),
        WrongFunction(
            "conv_macs treats the kernel as one-dimensional: it has a height and a width.",
            _wrong_macs(lambda macs, i, o, k, size, groups: macs // k),
        ),
    ),
    builds_on={"conv_parameters": _conv_parameters},
)

Pairs = list[tuple[int, int]]


def _receptive_field(layers: Pairs) -> int:
    field, jump = 1, 1
    for kernel_size, stride in layers:
        field += (kernel_size - 1) * jump
        jump *= stride
    return field


def _field_calls(generator: Generator) -> list[Call]:
    def layers(count: int, strides: tuple[int, int]) -> Pairs:
        drawn = [_pick(generator, (3, 7), strides) for _ in range(count)]
        return [(kernel_size, stride) for kernel_size, stride in drawn]

    plain = [[(3, 1)] * 3, [(7, 1)], *(layers(count, (1, 1)) for count in (2, 4))]
    strided = [[(11, 4), (3, 2), (5, 1), (3, 2)], [(3, 2), (3, 1)], [(3, 3), (3, 2), (4, 1)]]
    strided += [layers(count, (2, 3)) for count in (2, 3, 4)]
    return [
        *(Call("stride 1", (some,), lenient=True) for some in plain),
        *(Call("strides", (some,), lenient=True) for some in strided),
        Call("no layer", ([],), lenient=True),
        *(Call("an int", (some,)) for some in plain),
    ]


def _early_jump(layers: Pairs) -> int:
    field, jump = 1, 1
    for kernel_size, stride in layers:
        jump *= stride
        field += (kernel_size - 1) * jump
    return field


def _last_jump(layers: Pairs) -> int:
    strides = [1, *(stride for _, stride in layers)]
    return 1 + sum((k - 1) * stride for (k, _), stride in zip(layers, strides, strict=False))


def _product(layers: Pairs) -> int:
    field = 1
    for kernel_size, _ in layers:
        field *= kernel_size
    return field


RECEPTIVE_FIELD = FunctionExercise(
    "receptive_field",
    "receptive_field",
    _receptive_field,
    _field_calls,
    {"stride 1": 0.5, "strides": 0.75, "no layer": 0.25, "an int": 0.5},
    (
        WrongFunction(
            "receptive_field ignores the strides: after a stride of 2, a step of any later layer "
            "is two input pixels wide.",
            lambda layers: 1 + sum(kernel_size - 1 for kernel_size, _ in layers),
        ),
        WrongFunction(
            "receptive_field lets a stride widen its own layer: it widens the steps of the layers "
            "after it.",
            _early_jump,
        ),
        WrongFunction(
            "receptive_field uses only the stride of the previous layer: the strides of all "
            "earlier layers multiply.",
            _last_jump,
        ),
        WrongFunction(
            "receptive_field adds up whole kernels: neighbouring windows overlap, so three 3x3 "
            "layers see 7x7, not 9x9 (slide 18).",
            lambda layers: sum(kernel_size for kernel_size, _ in layers),
        ),
        WrongFunction(
            "receptive_field multiplies the kernels: neighbouring windows overlap, so two 3x3 "
            "layers see 5x5, not 9x9 (slide 18).",
            _product,
        ),
        WrongFunction(
            "receptive_field reads the layers from the output: the list starts at the input.",
            lambda layers: _receptive_field(layers[::-1]),
        ),
        WrongFunction(
            "receptive_field starts at 0: without layers, an output sees one pixel.",
            lambda layers: _receptive_field(layers) - 1,
        ),
    ),
)

# Kernel, stride and padding of CONV1 POOL1 CONV2 POOL2 CONV3 CONV4 CONV5 POOL3.
ALEXNET = ((11, 4, 0), (3, 2, 0), (5, 1, 2), (3, 2, 0), (3, 1, 1), (3, 1, 1), (3, 1, 1), (3, 2, 0))


def _alexnet_shapes(
    size: int = 227, layers: tuple[tuple[int, int, int], ...] = ALEXNET
) -> list[int]:
    sizes = []
    for kernel_size, stride, padding in layers:
        size = conv_output_size(size, kernel_size, stride, padding)
        sizes.append(size)
    return sizes


def _alexnet_calls(generator: Generator) -> list[Call]:
    drawn = _pick(generator, (130, 190), (191, 226), (228, 260), (261, 400))
    calls = [Call("227", arguments, lenient=True) for arguments in ((), (227,))]
    calls += [Call("other sizes", (size,), lenient=True) for size in (224, *drawn)]
    calls += [Call("other sizes", (), {"size": 192}, lenient=True)]
    return [*calls, *(Call("ints", (size,)) for size in (227, *drawn))]


def _with(*changes: tuple[int, tuple[int, int, int]]) -> Any:
    """Return `alexnet_shapes` with some layers changed, by their position."""
    layers = list(ALEXNET)
    for place, layer in changes:
        layers[place] = layer
    return lambda size=227: _alexnet_shapes(size, tuple(layers))


ALEXNET_SHAPES = FunctionExercise(
    "alexnet_shapes",
    "alexnet_shapes",
    _alexnet_shapes,
    _alexnet_calls,
    {"227": 0.5, "other sizes": 1, "ints": 0.5},
    (
        WrongFunction(
            "alexnet_shapes returns the sizes for 227 pixels for every input size: compute them "
            "from `size`.",
            lambda size=227: _alexnet_shapes(227),
        ),
        WrongFunction(
            "alexnet_shapes leaves out the padding of CONV2, which keeps the size (slide 4).",
            _with((2, (5, 1, 0))),
        ),
        WrongFunction(
            "alexnet_shapes leaves out the padding of CONV3 to CONV5, which keeps the size "
            "(slide 4).",
            _with(*((place, (3, 1, 0)) for place in (4, 5, 6))),
        ),
        WrongFunction(
            "alexnet_shapes pools 2x2 windows: AlexNet's are 3x3 with stride 2, and overlap "
            "(slide 6).",
            _with(*((place, (2, 2, 0)) for place in (1, 3, 7))),
        ),
        WrongFunction(
            "alexnet_shapes pads CONV1: it has no padding, so 227 pixels become 55 (slide 5).",
            _with((0, (11, 4, 2))),
        ),
        WrongFunction(
            "alexnet_shapes starts with the input: the first size in the list is that after CONV1.",
            lambda size=227: [size, *_alexnet_shapes(size)],
        ),
        WrongFunction(
            "alexnet_shapes starts with the input: the first size in the list is that after CONV1.",
            lambda size=227: [size, *_alexnet_shapes(size)][:-1],
        ),
        WrongFunction(
            "alexnet_shapes leaves out the pools, which halve the sizes and belong in the list.",
            lambda size=227: [_alexnet_shapes(size)[place] for place in (0, 2, 4, 5, 6)],
        ),
    ),
    builds_on={"conv_output_size": conv_output_size},
)

EXERCISES = (CONV_OUTPUT_SIZE, CONV_PARAMETERS, CONV_MACS, RECEPTIVE_FIELD, ALEXNET_SHAPES)
