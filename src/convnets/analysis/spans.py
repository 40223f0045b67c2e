"""What the values of a tensor see along one side of the image, and how operations change it.

A `Span` says of every value which pixels it sees, as an interval, so a dimension of a tensor is
known by the pixels that change along it, never by its size. Where the values move over the image in
equal steps, it also follows the recurrence of Araujo, Norris, Sim (2019), which counts the pixels
in the padding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Rows = NDArray[np.float32]
Shape = tuple[int, ...]

_NOTHING = np.float32(np.inf)  # first pixel, and minus the last pixel, of a value that sees none
_SEEN, _FORMULA, _PLACE = slice(0, 2), slice(2, 4), slice(4, 5)


class Kind(Enum):
    """How the values of a tensor lie over the image."""

    MOVING = "each value sees what the recurrence says"
    SHARED = "each value has a place, but also sees pixels that other places see"
    POOLED = "no dimension of the tensor follows this side"
    LOST = "the recurrence cannot be followed"


@dataclass(frozen=True, eq=False)
class Span:
    """The pixels along one side of the image that each value of a tensor sees."""

    rows: Rows
    """(5, *shape), with size 1 in dimensions along which nothing changes: first pixel seen, minus
    the last; the same two by the recurrence, padding included; number of the place."""
    jump: int
    """Pixels from the field of one place to the next."""
    kind: Kind
    side: int
    """0 for height, 1 for width."""
    why: str = ""
    """Why the recurrence is lost, or which operation last put places out of order."""

    @property
    def uniform(self) -> bool:
        """Whether all values see the same."""
        return _compact(self.rows[_SEEN]).size == 2

    @property
    def has_places(self) -> bool:
        """Whether a dimension of the tensor follows this side of the image."""
        return self.kind in (Kind.MOVING, Kind.SHARED)

    @property
    def dims(self) -> tuple[int, ...]:
        """The dimensions along which the place changes; none if there is a single place."""
        return _varying(self.rows[_PLACE]) if self.has_places else ()

    def equals(self, other: Span) -> bool:
        """Whether both say the same."""
        return self.kind is other.kind and np.array_equal(self.rows, other.rows)

    def lost(self, why: str) -> Span:
        """The same pixels without the recurrence."""
        return _lost(self.rows, self, why)

    def measured(self) -> tuple[int, int, int] | str:
        """First and last pixel of the first value, and jump; or why there are none."""
        if self.kind is Kind.LOST:
            return self.why
        jump = self._stepped() if self.dims else self.jump
        if isinstance(jump, str):
            return jump
        if self.kind is Kind.MOVING:
            first, last = _hull(self.rows[_FORMULA], self.dims)[:, 0]
            return int(first), int(-last), jump
        seen = _hull(self.rows[_SEEN], self.dims)
        first, last = seen[:, seen.shape[1] // 2]
        if (first, last) != tuple(seen.min(axis=1)):
            return "each value sees pixels of its own and some that values elsewhere see, too"
        return int(first), int(-last), jump

    def _stepped(self) -> int | str:
        """The pixels from each place to the next, or why they are not always the same."""
        after = f"after {self.why} " if self.why else ""
        if len(self.dims) > 1:
            return f"{after}several dimensions of a tensor follow the {_name(self.side)}"
        fields = _hull(self.rows[_FORMULA], self.dims)
        steps = np.diff(fields) if np.isfinite(fields).all() else np.zeros((2, 1))
        step = steps[0, 0]
        if step <= 0 or (steps[0] != step).any() or (steps[1] != -step).any():
            return f"{after}fields of neighbours along the {_name(self.side)} lie at odd distances"
        return int(step)

    def windows(
        self, dim: int, shape: Shape, kernel: int, stride: int, padding: int, dilation: int, n: int
    ) -> Span:
        """After a convolution or a pooling layer along `dim` of a tensor of this shape.

        The recurrence is Araujo, Norris, Sim (2019), equations 1 and 2; n values come out.
        """
        rows = _spread(self.rows, dim, shape[dim])
        starts = np.arange(n) * stride - padding
        taps = starts + dilation * np.arange(kernel)[:, None]
        seen = reduce(np.minimum, (_taken(rows[_SEEN], dim, places) for places in taps))
        if not self._lies_along(dim, shape):
            if self.has_places and _compact(self.rows[2:]).shape[dim + 1] > 1:
                return _lost(seen, self, "a window lies across places and channels")
            return _of(seen, self)
        if isinstance(moving := self._extended(dim, starts, dilation * (kernel - 1)), str):
            return _lost(seen, self, moving)
        jump = self.jump if not self.dims else int(self._stepped())
        return replace(self, rows=_stack(seen, moving), jump=jump * stride)

    def uneven(self, dim: int, shape: Shape, n: int) -> Span:
        """After an adaptive pool of `dim` to n values with windows of different sizes."""
        rows, length = _spread(self.rows, dim, shape[dim])[_SEEN], shape[dim]
        parts = [
            rows.take(range(i * length // n, -(-(i + 1) * length // n)), dim + 1).min(
                dim + 1, keepdims=True
            )
            for i in range(n)
        ]
        seen = np.concatenate(parts, axis=dim + 1)
        if not self._lies_along(dim, shape):
            return _of(seen, self)
        return _lost(seen, self, f"an adaptive pool from {length} to {n} has uneven windows")

    def padded(self, dim: int, shape: Shape, before: int, after: int) -> Span:
        """After padding `dim` by these numbers of values; negative ones crop it."""
        return self.windows(dim, shape, 1, 1, before, 0, shape[dim] + before + after)

    def reduced(self, dims: Sequence[int], shape: Shape, keep: bool) -> Span:
        """After an operation that mixes all values along `dims` of a tensor of this shape."""
        rows = self.rows.min(axis=tuple(dim + 1 for dim in dims), keepdims=True)
        after = replace(self, rows=rows)
        if self.has_places:
            before, single = self.dims, len(shape) - 2 + self.side
            if (set(before) <= set(dims)) if before else (single in dims and shape[single] == 1):
                places = int(np.unique(self.rows[_PLACE]).size)
                after = _unplaced(rows, self, jump=self.jump * places)
            elif set(before) & set(dims):
                after = _numbered(after)
        if not keep:
            rows = after.rows.reshape(
                5, *(after.rows.shape[dim + 1] for dim in range(len(shape)) if dim not in dims)
            )
            after = replace(after, rows=rows)
        return replace(after, rows=_compact(after.rows))

    def grouped(self, dim: int, shape: Shape, groups: int, channels: int) -> Span:
        """After a convolution in groups that makes this many channels along `dim`."""
        if dim in self.dims and groups > 1:
            return self.lost("a convolution in groups runs along a side of the image")
        if groups == 1 or self.rows.shape[dim + 1] == 1:
            return self.reduced([dim], shape, keep=True)
        size = self.rows.shape
        split = self.rows.reshape(*size[: dim + 1], groups, -1, *size[dim + 2 :]).min(dim + 2)
        return replace(self, rows=_compact(split.repeat(channels // groups, axis=dim + 1)))

    def indexed(self, dims: Sequence[int], at: int, ranks: int) -> Span:
        """With `ranks` dimensions, at position `at`, in place of `dims`, in which all are alike."""
        rows = self.rows.squeeze(tuple(dim + 1 for dim in dims))
        rows = rows.reshape(*rows.shape[: at + 1], *[1] * ranks, *rows.shape[at + 1 :])
        return replace(self, rows=rows)

    def seeing(self, other: Span) -> Span:
        """With the pixels that `other` sees."""
        return _of(other.rows, self)

    def moved(
        self, name: str, move: Callable[[Tensor], Any], shape: Shape, ranks: Sequence[int]
    ) -> list[Span]:
        """After the operation `move` of this name, which only moves values of such a tensor.

        Its outputs have these numbers of dimensions; there is a span for each.
        """
        if self.rows.size == 5 and not self.has_places:
            return [replace(self, rows=self.rows.reshape(5, *[1] * rank)) for rank in ranks]
        used = self.rows if self.has_places else self.rows[_SEEN]
        numbers = np.arange(1, used[0].size + 1, dtype=np.float32).reshape(used.shape[1:])
        result = move(torch.from_numpy(numbers).expand(shape).contiguous())
        filled_in = np.full((len(used), 1), _NOTHING)
        values = np.concatenate([filled_in, used.reshape(len(used), -1)], axis=1)
        return [
            self._arrived(values[:, _compact_tensor(output).numpy().astype(np.intp)], name)
            for output in ([result] if isinstance(result, Tensor) else result)
        ]

    def _arrived(self, rows: Rows, name: str) -> Span:
        if not self.has_places:
            return _unplaced(rows, self)
        if not np.isfinite(rows[_PLACE]).all():
            return _lost(rows, self, f"{name} adds values that see no pixel")
        after = _numbered(replace(self, rows=_compact(rows)))
        if not after.dims:
            return _unplaced(rows, self) if self.dims else after
        step = after._stepped()
        if isinstance(step, int):
            return replace(after, jump=step, why="")
        return replace(after, why=self.why or name)

    def _lies_along(self, dim: int, shape: Shape) -> bool:
        """Whether the places follow `dim`; a single place is taken for that of an image."""
        if self.dims or not self.has_places:
            return dim in self.dims
        return dim == len(shape) - 2 + self.side and shape[dim] == 1

    def _extended(self, dim: int, starts: NDArray[np.int64], reach: int) -> Rows | str:
        """The recurrence, and the place, for windows that begin at the values `starts`."""
        step = self._stepped() if self.dims else self.jump
        if isinstance(step, str):
            return step
        first = self.rows[_FORMULA].take([0], dim + 1)
        places = np.arange(len(starts), dtype=np.float32)
        along = [-1 if axis == dim + 1 else 1 for axis in range(first.ndim)]
        shifts = np.stack([starts * step, -(starts + reach) * step]).astype(np.float32)
        shifts = shifts.reshape(2, *along[1:])
        return _stack(first + shifts, places.reshape(along))


def of_image(side: int, shape: Shape) -> Span:
    """Of the image itself, (N, C, H, W): each value sees its own pixel."""
    pixel = np.arange(shape[2 + side], dtype=np.float32)
    rows = np.stack([pixel, -pixel, pixel, -pixel, pixel])
    return Span(rows.reshape(5, 1, 1, *((-1, 1) if side == 0 else (1, -1))), 1, Kind.MOVING, side)


def joined(spans: Sequence[Span], rank: int) -> Span:
    """Of values that are computed from one value of each tensor, broadcast to `rank` dimensions."""
    aligned = [
        replace(s, rows=s.rows.reshape(5, *[1] * (rank + 1 - s.rows.ndim), *s.rows.shape[1:]))
        for s in spans
    ]
    seen = reduce(np.minimum, (span.rows[_SEEN] for span in aligned))
    return _met(aligned, seen, lambda moving: reduce(np.minimum, (s.rows[2:4] for s in moving)))


def concatenated(spans: Sequence[Span | None], sizes: Sequence[int], dim: int) -> Span:
    """Of tensors with these sizes along `dim`, one after the other; `None` sees no pixel."""
    known = [span for span in spans if span is not None]
    if any(dim in span.dims for span in known):
        return _continued(spans, sizes, dim)
    alike = len(known) == len(spans) and all(span.equals(known[0]) for span in known)
    if alike and known[0].rows.shape[dim + 1] == 1:
        return known[0]
    blank = np.full((2, *[1] * (known[0].rows.ndim - 1)), _NOTHING)

    def one_after_the_other(part: slice, places_only: bool) -> Rows:
        pieces = [
            _spread(
                span.rows[part] if span and (span.has_places or not places_only) else blank, dim, n
            )
            for span, n in zip(spans, sizes, strict=True)
        ]
        return _concatenate(pieces, dim + 1)

    return _met(
        known, one_after_the_other(_SEEN, False), lambda _: one_after_the_other(_FORMULA, True)
    )


def _continued(spans: Sequence[Span | None], sizes: Sequence[int], dim: int) -> Span:
    """Concatenated along the dimension that follows the side."""
    known = [span for span in spans if span is not None]
    pieces, places = [], 0
    for span, size in zip(spans, sizes, strict=True):
        if span is None or span.kind is not Kind.MOVING:
            blank = np.full((5, *[1] * (known[0].rows.ndim - 1)), _NOTHING)
            rows = _stack(span.rows[_SEEN], blank[2:]) if span else blank
        else:
            rows = span.rows + np.array([0, 0, 0, 0, places], np.float32).reshape(
                5, *[1] * (span.rows.ndim - 1)
            )
        pieces.append(_spread(rows, dim, size))
        places += size
    first = next(span for span in known if span.has_places)
    return first._arrived(_concatenate(pieces, dim + 1), "aten.cat")


def _met(spans: Sequence[Span], seen: Rows, formula: Callable[[Sequence[Span]], Rows]) -> Span:
    """Of values that see `seen` and depend on all these spans."""
    placed = [span for span in spans if span.has_places]
    moving = [span for span in placed if span.dims] or placed
    lost = [span for span in spans if span.kind is Kind.LOST]
    first = [*moving, *lost, *spans][0]
    for span in lost:
        if not span.uniform:
            return _lost(seen, first, span.why)
    if not placed:
        return _unplaced(seen, first, jump=max(span.jump for span in spans))
    if len(jumps := sorted({span.jump for span in moving})) > 1:
        for span in moving:
            if span.dims and isinstance(why := span._stepped(), str):
                return _lost(seen, first, why)
        return _lost(seen, first, f"maps with strides of {jumps} pixels meet")
    places = [_compact(span.rows[_PLACE]) for span in moving]
    if not all(np.array_equal(a, b) for a, b in pairwise(places)):
        return _lost(
            seen,
            first,
            f"tensors meet that hold the {_name(first.side)} of the image in different places",
        )
    alike = len(moving) == len(spans) and all(span.kind is Kind.MOVING for span in spans)
    return replace(
        first,
        rows=_stack(seen, formula(moving), places[0]),
        kind=Kind.MOVING if alike else Kind.SHARED,
    )


def _unplaced(rows: Rows, span: Span, jump: int | None = None) -> Span:
    """The pixels in `rows`, seen by values without a place."""
    rows = _stack(rows[_SEEN], np.zeros((3, *[1] * (rows.ndim - 1)), np.float32))
    if span.kind is Kind.LOST:
        return replace(span, rows=rows)
    return replace(span, rows=rows, kind=Kind.POOLED, jump=jump or span.jump, why="")


def _lost(rows: Rows, span: Span, why: str) -> Span:
    """The pixels in `rows`, seen by values whose recurrence is lost."""
    return replace(_unplaced(rows, span), kind=Kind.LOST, why=why)


def _of(rows: Rows, span: Span) -> Span:
    """The pixels in `rows`; the rest as in `span`."""
    return replace(span, rows=_stack(rows[_SEEN], _compact(span.rows[2:])))


def _numbered(span: Span) -> Span:
    """With places numbered from 0 in the order of their numbers so far."""
    _, numbers = np.unique(span.rows[_PLACE], return_inverse=True)
    places = numbers.reshape(span.rows[_PLACE].shape).astype(np.float32)
    return replace(span, rows=_stack(span.rows[:4], places))


def _stack(*parts: Rows) -> Rows:
    shape = np.broadcast_shapes(*(part.shape[1:] for part in parts))
    return _compact(np.concatenate([np.broadcast_to(part, (len(part), *shape)) for part in parts]))


def _concatenate(pieces: Sequence[Rows], axis: int) -> Rows:
    others = [tuple(np.delete(piece.shape, axis)) for piece in pieces]
    shape = np.broadcast_shapes(*others)
    full = [
        np.broadcast_to(piece, (*shape[:axis], piece.shape[axis], *shape[axis:]))
        for piece in pieces
    ]
    return _compact(np.concatenate(full, axis=axis))


def _spread(rows: Rows, dim: int, size: int) -> Rows:
    """With `size` values along `dim`."""
    shape = list(rows.shape)
    shape[dim + 1] = size
    return np.broadcast_to(rows, shape)


def _taken(rows: Rows, dim: int, places: NDArray[np.int64]) -> Rows:
    """The values at `places` along `dim`; those outside see nothing."""
    inside = (places >= 0) & (places < rows.shape[dim + 1])
    values = rows.take(np.where(inside, places, 0), dim + 1)
    along = [-1 if axis == dim + 1 else 1 for axis in range(rows.ndim)]
    return np.where(inside.reshape(along), values, _NOTHING)


def _varying(rows: Rows) -> tuple[int, ...]:
    return tuple(dim for dim, size in enumerate(_compact(rows).shape[1:]) if size > 1)


def _compact(rows: Rows) -> Rows:
    for axis in range(1, rows.ndim):
        if rows.shape[axis] > 1 and (rows == rows.take([0], axis)).all():
            rows = rows.take([0], axis)
    return rows


def _compact_tensor(tensor: Tensor) -> Tensor:
    for dim, size in enumerate(tensor.shape):
        if size > 1:
            first, last = tensor.narrow(dim, 0, 1), tensor.narrow(dim, size - 1, 1)
            if torch.equal(first, last) and bool((tensor == first).all()):
                tensor = first
    return tensor


def _hull(rows: Rows, dims: tuple[int, ...]) -> Rows:
    """(2, n): what the values at each place see together; `dims` is the place's, or none."""
    others = tuple(axis for axis in range(1, rows.ndim) if axis - 1 not in dims)
    return rows.min(axis=others).reshape(2, -1)


def _name(side: int) -> str:
    return ("height", "width")[side]
