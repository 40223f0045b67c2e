"""Which places of a map the operations of PyTorch read."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def over_both_sides(tensor: Tensor, rest: Any) -> bool:
    """Whether a reduction of `tensor` with the further arguments `rest` spans height and width."""
    dims = rest[0] if rest and isinstance(rest[0], (list, tuple)) else []
    last = {tensor.ndim - 1, tensor.ndim - 2}
    return {dim % tensor.ndim for dim in dims} == last


def sides_untouched(tensor: Tensor, dims: Any) -> bool:
    """Whether a transposition of `dims` leaves height and width in place."""
    return {tensor.ndim - 1, tensor.ndim - 2}.isdisjoint(dim % tensor.ndim for dim in dims)


def _two(values: Any) -> tuple[int, int]:
    pair = list(values) if isinstance(values, (list, tuple)) else [values]
    return pair[-2 if len(pair) > 1 else 0], pair[-1]


def _by_side(*settings: Any) -> Iterator[tuple[int, ...]]:
    """Kernel size, stride, padding and so on along the height, then along the width."""
    return zip(*(_two(setting) for setting in settings), strict=True)


def _of_convolution(
    x: Tensor,
    weight: Tensor,
    bias: Any,
    stride: Any,
    pad: Any,
    dilation: Any,
    transposed: bool,
    *_: Any,
) -> list[tuple[int, ...]] | None:
    return None if transposed else list(_by_side(weight.shape[-2:], stride, pad, dilation))


def _of_pool(
    x: Tensor, kernel: Any, stride: Any = (), padding: Any = 0, *rest: Any, **_: Any
) -> Any:
    return list(_by_side(kernel, stride or kernel, padding))


def _of_max_pool(
    x: Tensor, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, *_: Any
) -> list[tuple[int, ...]]:
    return list(_by_side(kernel, stride or kernel, padding, dilation))


# Kernel size, stride, padding and, where there is one, dilation along each side; None if the
# operation has no single window.
WINDOWS: dict[Any, Callable[..., list[tuple[int, ...]] | None]] = {
    aten.convolution: _of_convolution,
    aten.max_pool2d_with_indices: _of_max_pool,
    aten.avg_pool2d: _of_pool,
    aten.avg_pool3d: _of_pool,  # local response normalisation pools over channels
}
# Each value sees what the input's value at the same place sees.
EACH_PLACE = {
    *(aten.native_batch_norm, aten._native_batch_norm_legit_no_training, aten._prelu_kernel),
    *(aten.hardtanh, aten.hardtanh_, aten.hardswish, aten.hardswish_),
    *(aten.detach, aten.alias, aten._to_copy, aten.copy_),
}
# The same, provided that height and width do not change.
OTHER_DIMENSIONS = {
    *(aten.view, aten._unsafe_view, aten.expand, aten.squeeze, aten.unsqueeze, aten.select),
    *(aten.split, aten.split_with_sizes, aten.unbind, aten.cat, aten.mean, aten.sum, aten.amax),
}
