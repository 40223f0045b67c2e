"""Which values of their inputs the operations of PyTorch read.

Operations on single values and reductions are known from PyTorch's own tags, views from its
schemas. What is left are the operations below; all others are followed through PyTorch's
decompositions into simpler ones (`convnets.analysis.fields`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves

from convnets.analysis.spans import Shape, Span, concatenated, joined

aten = torch.ops.aten

See = Callable[[Tensor], Span | None]
"""The span of a tensor; `None` if it does not depend on the image."""


class UnknownFieldError(Exception):
    """Says why what the values of an output see is not known."""


def rule_for(func: Any) -> Callable[..., Sequence[Span | None]] | None:
    """How `func` changes a span, if its rule is here.

    The rule takes `func`, its arguments by name, what gives the span of a tensor, and the shapes of
    its outputs; it gives the span of each output.
    """
    name = func.overloadpacket.__name__
    if name.endswith("_like") or name.startswith("new_"):
        return _constant
    if func.overloadpacket in _RULES:
        return _RULES[func.overloadpacket]
    if torch.Tag.pointwise in func.tags:
        return _each_value
    if torch.Tag.reduction in func.tags:
        return _reduction
    return _moved if func.is_view else None


def _each_value(
    func: Any, arguments: Mapping[str, Any], see: See, shapes: Sequence[Shape]
) -> list[Span]:
    spans = [span for t in tree_leaves(arguments) if isinstance(t, Tensor) and (span := see(t))]
    return [joined(spans, len(shape)) for shape in shapes]


def _constant(
    func: Any, arguments: Mapping[str, Any], see: See, shapes: Sequence[Shape]
) -> list[None]:
    return [None] * len(shapes)


def _copied(
    func: Any, arguments: Mapping[str, Any], see: See, shapes: Sequence[Shape]
) -> list[Span | None]:
    source = see(arguments["src"])
    return [source and joined([source], len(shapes[0]))]


def _reduction(
    func: Any, arguments: Mapping[str, Any], see: See, shapes: Sequence[Shape]
) -> list[Span]:
    tensor: Tensor = arguments["self"]
    dims = arguments.get("dim")
    dims = [dims] if isinstance(dims, int) else dims or range(tensor.ndim)
    keep = bool(arguments.get("keepdim", False))
    span = _required(see(tensor)).reduced([d % tensor.ndim for d in dims], tensor.shape, keep)
    return [span] * len(shapes)


def _batch_norm(
    func: Any, arguments: Mapping[str, Any], see: See, shapes: Sequence[Shape]
) -> list[Span]:
    tensor: Tensor = arguments["input"]
    span = _required(see(tensor))
    if arguments.get("training", False):
        dims = [dim for dim in range(tensor.ndim) if dim != 1]
        span = joined([span, span.reduced(dims, tensor.shape, keep=True)], tensor.ndim)
    return [span] * len(shapes)


def _softmax(
    func: Any, arguments: Mapping[str, Any], see: See, shapes: Sequence[Shape]
) -> list[Span]:
    tensor: Tensor = arguments["self"]
    span = _required(see(tensor))
    whole = span.reduced([arguments["dim"] % tensor.ndim], tensor.shape, keep=True)
    return [joined([span, whole], tensor.ndim)]


def _convolution(
    func: Any, arguments: Mapping[str, Any], see: See, shapes: Sequence[Shape]
) -> list[Span]:
    if arguments["transposed"]:
        raise UnknownFieldError("a transposed convolution has no single window")
    tensor, weight = arguments["input"], arguments["weight"]
    span = _required(see(tensor)).grouped(1, tensor.shape, arguments["groups"], weight.shape[0])
    settings = (weight.shape[2:], *(arguments[key] for key in ("stride", "padding", "dilation")))
    span = _windows(span, tensor.shape, shapes[0], *settings)
    others = [
        other.reduced(range(t.ndim), t.shape, keep=False)
        for t in (weight, arguments["bias"])
        if t is not None and (other := see(t))
    ]
    return [joined([span, *others], tensor.ndim)]


def _pool(func: Any, arguments: Mapping[str, Any], see: See, shapes: Sequence[Shape]) -> list[Span]:
    tensor, kernel = arguments["self"], arguments["kernel_size"]
    span = _windows(
        _required(see(tensor)),
        tensor.shape,
        shapes[0],
        kernel,
        arguments["stride"] or kernel,
        arguments["padding"],
        arguments.get("dilation", 1),
    )
    return [span] * len(shapes)


def _adaptive_pool(
    func: Any, arguments: Mapping[str, Any], see: See, shapes: Sequence[Shape]
) -> list[Span]:
    tensor: Tensor = arguments["self"]
    span, shape = _required(see(tensor)), tensor.shape
    count = len(arguments["output_size"])
    for dim in range(tensor.ndim - count, tensor.ndim):
        before, after = shape[dim], shapes[0][dim]
        if after == 1:
            span = span.reduced([dim], shape, keep=True)
        elif before % after:
            span = span.uneven(dim, shape, after)
        else:
            size = before // after
            span = span.windows(dim, shape, size, size, 0, 1, after)
    return [span] * len(shapes)


def _padded(
    func: Any, arguments: Mapping[str, Any], see: See, shapes: Sequence[Shape]
) -> list[Span]:
    """Mirrored or repeated values count as padding, which the recurrence includes."""
    tensor: Tensor = arguments["self"]
    amounts = arguments["pad"] if "pad" in arguments else arguments["padding"]
    span = _required(see(tensor))
    for i, (before, after) in enumerate(zip(amounts[::2], amounts[1::2], strict=True)):
        span = span.padded(tensor.ndim - 1 - i, tensor.shape, before, after)
    if func.overloadpacket is not aten.constant_pad_nd:
        span = span.seeing(_moved(func, arguments, see, shapes)[0])
    return [span]


def _concatenation(
    func: Any, arguments: Mapping[str, Any], see: See, shapes: Sequence[Shape]
) -> list[Span]:
    rank = len(shapes[0])
    tensors = [t for t in arguments["tensors"] if t.ndim == rank]  # it ignores empty vectors
    dim = arguments["dim"] % rank
    return [concatenated([see(t) for t in tensors], [t.shape[dim] for t in tensors], dim)]


def _product(
    func: Any, arguments: Mapping[str, Any], see: See, shapes: Sequence[Shape]
) -> list[Span]:
    """Of matrices: rows of the first with columns of the second."""
    left, right = arguments["self"], arguments["mat2"]
    rank = len(shapes[0])
    spans = [
        span.reduced([dim % tensor.ndim], tensor.shape, keep=True)
        for tensor, dim in ((left, -1), (right, -2))
        if (span := see(tensor))
    ]
    return [joined(spans, rank)]


def _indexed(
    func: Any, arguments: Mapping[str, Any], see: See, shapes: Sequence[Shape]
) -> list[Span]:
    """Values picked along dimensions in which all see the same."""
    tensor, indices = arguments["self"], arguments["indices"]
    picked = [dim for dim, index in enumerate(indices) if index is not None]
    if any(see(indices[dim]) for dim in picked):
        raise UnknownFieldError("which values are picked depends on the image")
    span = see(tensor)
    if span is None or any(span.rows.shape[dim + 1] > 1 for dim in picked):
        raise UnknownFieldError(f"{func} picks values along a side of the image")
    ranks = max(indices[dim].ndim for dim in picked)
    together = picked == list(range(picked[0], picked[-1] + 1))
    return [span.indexed(picked, picked[0] if together else 0, ranks)]


def _moved(
    func: Any, arguments: Mapping[str, Any], see: See, shapes: Sequence[Shape]
) -> list[Span]:
    """Values that only change their places: find out where they go by moving the rows of a span."""
    name = "self" if "self" in arguments else "input"
    tensor: Tensor = arguments[name]
    reinterpreted = func is aten.view.dtype or tensor.is_complex()
    if reinterpreted or (func is aten.as_strided.default and not tensor.is_contiguous()):
        raise UnknownFieldError(f"{func} looks at the memory of a tensor, not at its values")

    def move(values: Tensor) -> Any:
        given = {key: value for key, value in arguments.items() if key != name}
        return func(values, **given) if name == "self" else func(**{name: values}, **given)

    with _disable_current_modes():
        ranks = [len(shape) for shape in shapes]
        return _required(see(tensor)).moved(str(func), move, tensor.shape, ranks)


def _windows(span: Span, before: Shape, after: Shape, *settings: Any) -> Span:
    """Along the last dimensions; kernel size, stride, padding and dilation, each one or several."""
    count = max(len(each) if isinstance(each, Sequence) else 1 for each in settings)
    for i, dim in enumerate(range(len(before) - count, len(before))):
        kernel, stride, padding, dilation = _at(i, settings)
        span = span.windows(dim, before, kernel, stride, padding, dilation, after[dim])
    return span


def _at(i: int, settings: Sequence[Any]) -> Iterator[int]:
    for each in settings:
        values = list(each) if isinstance(each, Sequence) else [each]
        yield values[i] if len(values) > 1 else values[0]


def _required(span: Span | None) -> Span:
    if span is None:
        raise UnknownFieldError("a number, not a map, depends on the image")
    return span


_RULES: dict[Any, Callable[..., Sequence[Span | None]]] = {
    aten.convolution: _convolution,
    **dict.fromkeys(
        [aten.max_pool2d_with_indices, aten.max_pool3d_with_indices, aten.avg_pool1d], _pool
    ),
    **dict.fromkeys([aten.avg_pool2d, aten.avg_pool3d], _pool),
    **dict.fromkeys([aten._adaptive_avg_pool2d, aten._adaptive_avg_pool3d], _adaptive_pool),
    **dict.fromkeys([aten.adaptive_max_pool2d, aten.adaptive_max_pool3d], _adaptive_pool),
    aten.native_batch_norm: _batch_norm,
    **dict.fromkeys([aten.constant_pad_nd, aten.reflection_pad2d, aten.replication_pad2d], _padded),
    **dict.fromkeys([aten.mm, aten.bmm], _product),
    aten.cat: _concatenation,
    aten.index: _indexed,
    aten.copy: _copied,
    # Neither tagged nor decomposed by PyTorch.
    aten._safe_softmax: _softmax,
    **dict.fromkeys([aten._to_copy, aten.rrelu_with_noise], _each_value),
    **dict.fromkeys([aten._unsafe_view, aten.flip, aten.roll, aten.repeat], _moved),
    **dict.fromkeys([aten.upsample_nearest2d, aten.im2col, aten.pixel_shuffle], _moved),
}
