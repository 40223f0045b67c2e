"""Follow the receptive field of every map through the operations of a network.

For each tensor that depends on the image, `FieldMode` records which pixels its values see. It
intercepts PyTorch's operations, so it does not matter how a network is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from convnets.analysis.operations import (
    EACH_PLACE,
    OTHER_DIMENSIONS,
    WINDOWS,
    over_both_sides,
    sides_untouched,
)

aten = torch.ops.aten


@dataclass(frozen=True)
class Axis:
    """The pixels that the values of a map see, along one side of the image."""

    low: int
    """First pixel of the first value's field; below 0 where it lies in the padding."""
    high: int
    """Last pixel of the first value's field."""
    jump: int
    """Pixels from one value's field to the next value's."""
    fixed: bool = False
    """All values see the same pixels, as after a global average."""

    def window(self, kernel: int, stride: int, padding: int, dilation: int = 1) -> Axis:
        """After a convolution or a pooling layer (Araujo, Norris, Sim, 2019, equations 1 and 2)."""
        if self.fixed:
            return Axis(self.low, self.high, self.jump * stride, fixed=True)
        reach = (dilation * (kernel - 1) - padding) * self.jump
        return Axis(self.low - padding * self.jump, self.high + reach, self.jump * stride)

    def whole(self, length: int, pixels: int) -> Axis:
        """After an operation that sees all `length` values; padding is left out."""
        last = self.high if self.fixed else self.high + (length - 1) * self.jump
        return Axis(max(self.low, 0), min(last, pixels - 1), self.jump * length, fixed=True)


@dataclass(frozen=True)
class Unknown:
    """Why there is no field."""

    reason: str


Field = tuple[Axis, Axis] | Unknown
"""Along height and width."""


class FieldMode(TorchDispatchMode):
    """While active, records the field of every tensor that depends on `image`.

    Args:
        image: (N, C, H, W), on any device.
    """

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pixels: tuple[int, int] = (image.shape[-2], image.shape[-1])
        self._fields: dict[int, Field] = {}
        self._alive: list[Tensor] = []  # keeps every id() unique
        self._overwritten: set[int] = set()
        self._note(image, (Axis(0, 0, 1), Axis(0, 0, 1)))

    def __getitem__(self, tensor: Tensor) -> Field | None:
        """The field of `tensor`, `None` if it does not depend on the image."""
        if tensor.untyped_storage()._cdata in self._overwritten:
            return Unknown("a part of a tensor is overwritten")
        return self._fields.get(id(tensor))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        inputs = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor) and self[t]]
        if inputs:
            for output in tree_leaves(result):
                if isinstance(output, Tensor):
                    field = self._field_after(func, args, kwargs or {}, inputs, output)
                    if func._schema.is_mutable and field != self[output] and self._shared(output):
                        self._overwritten.add(output.untyped_storage()._cdata)
                    self._note(output, field)
        return result

    def _shared(self, tensor: Tensor) -> bool:
        """Whether `tensor` shares its memory with other tensors."""
        storage = tensor.untyped_storage()
        return storage.nbytes() != tensor.numel() * tensor.element_size() or any(
            other is not tensor and other.untyped_storage()._cdata == storage._cdata
            for other in self._alive
        )

    def _note(self, tensor: Tensor, field: Field) -> None:
        self._fields[id(tensor)] = field
        self._alive.append(tensor)

    def _field_after(
        self, func: Any, args: Any, kwargs: dict[str, Any], inputs: list[Tensor], output: Tensor
    ) -> Field:
        """The field of `output`, which `func` computes from `inputs`."""
        known: list[tuple[Axis, Axis]] = []
        for tensor in inputs:
            if isinstance(field := self[tensor], Unknown):
                return field
            known.append(field)  # type: ignore[arg-type]
        first = known[0]
        operation = func.overloadpacket
        if operation in WINDOWS and len(inputs) == 1 and inputs[0] is args[0]:
            windows = WINDOWS[operation](*args, **kwargs)
            if windows is None:
                return Unknown("a transposed convolution has no single window")
            return first[0].window(*windows[0]), first[1].window(*windows[1])
        if all(field[0].fixed for field in known):
            return self._joined(inputs, known)
        if operation is aten._adaptive_avg_pool2d:
            return self._adaptive(inputs[0], first, output)
        if operation in (aten.mean, aten.sum, aten.amax) and over_both_sides(inputs[0], args[1:]):
            return self._whole(inputs[0], first)
        if operation is aten.slice:
            return _sliced(first, inputs[0], *args[1:])
        if operation is aten.constant_pad_nd:
            return _padded(first, args[1])
        same_sides = output.ndim >= 3 and output.shape[-2:] == inputs[0].shape[-2:]
        if (
            operation in EACH_PLACE
            or torch.Tag.pointwise in func.tags
            or (operation in OTHER_DIMENSIONS and same_sides)
            or (operation is aten.index and same_sides and len(args[1]) <= output.ndim - 2)
            or (operation is aten.transpose and sides_untouched(inputs[0], args[1:3]))
        ):
            return self._joined(inputs, known)
        if operation in (aten.view, aten._unsafe_view) and output.ndim <= 2:
            return self._whole(inputs[0], first)
        return Unknown(f"the field of {func} is unknown")

    def _whole(self, tensor: Tensor, field: tuple[Axis, Axis]) -> tuple[Axis, Axis]:
        rows, columns = tensor.shape[-2:]
        return field[0].whole(rows, self.pixels[0]), field[1].whole(columns, self.pixels[1])

    def _joined(self, inputs: list[Tensor], fields: list[tuple[Axis, Axis]]) -> Field:
        """Where branches meet, a value sees what any of them sees."""
        sides = [tuple(tensor.shape[-2:]) for tensor in inputs]
        if any(field[0].fixed for field in fields) or len(set(sides)) > 1:
            wholes = [
                field if field[0].fixed else self._whole(tensor, field)
                for tensor, field in zip(inputs, fields, strict=True)
            ]
            largest = fields[max(range(len(fields)), key=lambda i: inputs[i][0].numel())]
            return _hull(wholes, (largest[0].jump, largest[1].jump))
        for side in (0, 1):
            if len(jumps := sorted({field[side].jump for field in fields})) > 1:
                return Unknown(f"maps with strides of {jumps} pixels meet")
        return _hull(fields, (fields[0][0].jump, fields[0][1].jump))

    def _adaptive(self, tensor: Tensor, field: tuple[Axis, Axis], output: Tensor) -> Field:
        sides = list(zip(tensor.shape[-2:], output.shape[-2:], strict=True))
        if all(after == 1 for _, after in sides):
            return self._whole(tensor, field)
        if any(before % after for before, after in sides):
            return Unknown(
                f"an adaptive pool from {sides[0][0]} to {sides[0][1]} has uneven windows"
            )
        height, width = (
            axis.window(before // after, before // after, 0)
            for axis, (before, after) in zip(field, sides, strict=True)
        )
        return height, width


def _hull(fields: list[tuple[Axis, Axis]], jumps: tuple[int, int]) -> tuple[Axis, Axis]:
    height, width = (
        Axis(min(a.low for a in axes), max(a.high for a in axes), jump, axes[0].fixed)
        for axes, jump in zip(zip(*fields, strict=True), jumps, strict=True)
    )
    return height, width


def _sliced(
    field: tuple[Axis, Axis],
    tensor: Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Field:
    """The field after slicing; slicing dimensions other than height and width keeps it."""
    axes = list(field)
    side = dim % tensor.ndim - (tensor.ndim - 2)
    if side >= 0:
        axis, first = axes[side], start or 0
        first = first + tensor.shape[dim] if first < 0 else first
        shift = first * axis.jump
        axes[side] = Axis(axis.low + shift, axis.high + shift, axis.jump * step, axis.fixed)
    return axes[0], axes[1]


def _padded(field: tuple[Axis, Axis], pad: list[int]) -> Field:
    before = (pad[2] if len(pad) > 2 else 0, pad[0])
    height, width = (
        Axis(axis.low - more * axis.jump, axis.high - more * axis.jump, axis.jump, axis.fixed)
        for axis, more in zip(field, before, strict=True)
    )
    return height, width
