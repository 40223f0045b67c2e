"""Follow the receptive field of every map through the operations of a network.

For each tensor that depends on the image, `FieldMode` records which pixels its values see. It
intercepts PyTorch's operations, so it does not matter how a network is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch._decomp import decomposition_table
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from convnets.analysis.operations import UnknownFieldError, rule_for
from convnets.analysis.spans import Kind, Shape, Span, of_image


@dataclass(frozen=True)
class Field:
    """What the values of a tensor see, along height and width of the image."""

    height: Span
    width: Span
    shape: Shape
    """Of the tensor."""

    @property
    def spans(self) -> tuple[Span, Span]:
        """Height and width."""
        return self.height, self.width

    @property
    def is_map(self) -> bool:
        """Whether the tensor has a place for each part of the image, or had one that got lost."""
        return len(self.shape) > 2 and all(span.kind is not Kind.POOLED for span in self.spans)


@dataclass(frozen=True)
class Unknown:
    """Why there is no field."""

    reason: str


class FieldMode(TorchDispatchMode):
    """While active, records the field of every tensor that depends on `image`.

    Args:
        image: (N, C, H, W), on any device.
    """

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._fields: dict[int, Field | Unknown] = {}
        self._alive: list[Tensor] = []  # keeps every id() unique
        self._overwritten: set[int] = set()
        shape = tuple(image.shape)
        self._note(image, Field(of_image(0, shape), of_image(1, shape), shape))

    def __getitem__(self, tensor: Tensor) -> Field | Unknown | None:
        """The field of `tensor`, `None` if it does not depend on the image."""
        if tensor.untyped_storage()._cdata in self._overwritten:
            return Unknown("a part of a tensor is overwritten")
        return self._fields.get(id(tensor))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        depends = any(isinstance(t, Tensor) and self[t] for t in tree_leaves((args, kwargs)))
        result = func(*args, **kwargs)
        if depends:
            outputs = [t for t in tree_leaves(result) if isinstance(t, Tensor)]
            with _disable_current_modes():
                fields = self._fields_after(func, args, kwargs, outputs)
            for output, field in zip(outputs, fields, strict=True):
                if (
                    func._schema.is_mutable
                    and not _same(field, self[output])
                    and self._shared(output)
                ):
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

    def _note(self, tensor: Tensor, field: Field | Unknown | None) -> None:
        self._alive.append(tensor)
        if field is None:
            self._fields.pop(id(tensor), None)
        else:
            self._fields[id(tensor)] = field

    def _fields_after(
        self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], outputs: list[Tensor]
    ) -> Sequence[Field | Unknown | None]:
        """The field of each output, which `func` computes from its arguments."""
        for tensor in tree_leaves((args, kwargs)):
            if isinstance(tensor, Tensor) and isinstance(field := self[tensor], Unknown):
                return [field] * len(outputs)
        func = _without_overwriting(func)
        if rule := rule_for(func):
            arguments = _by_name(func, args, kwargs)
            shapes = [tuple(output.shape) for output in outputs]
            try:
                heights, widths = (
                    rule(func, arguments, partial(self._span, side=side), shapes) for side in (0, 1)
                )
            except UnknownFieldError as error:
                return [Unknown(str(error))] * len(outputs)
            return [
                Field(height, width, shape) if height and width else None
                for height, width, shape in zip(heights, widths, shapes, strict=True)
            ]
        return self._decomposed(func, args, kwargs, outputs)

    def _span(self, tensor: Tensor, side: int) -> Span | None:
        field = self[tensor]
        return field.spans[side] if isinstance(field, Field) else None

    def _decomposed(
        self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], outputs: list[Tensor]
    ) -> Sequence[Field | Unknown | None]:
        """The fields that the simpler operations give into which PyTorch takes `func` apart."""
        unknown = [Unknown(f"the field of {func} is unknown")] * len(outputs)
        parts = decomposition_table.get(func)
        if parts is None:
            return unknown
        with self:
            results = [t for t in tree_leaves(parts(*args, **kwargs)) if isinstance(t, Tensor)]
        fields = [self[result] for result in results]
        followed = len(fields) == len(outputs) and not any(isinstance(f, Unknown) for f in fields)
        return fields if followed else unknown


def _same(one: Field | Unknown | None, other: Field | Unknown | None) -> bool:
    """Whether both have the same pixels at the same places."""
    if isinstance(one, Field) and isinstance(other, Field):
        return all(a.equals(b) for a, b in zip(one.spans, other.spans, strict=True))
    return one == other


def _without_overwriting(func: Any) -> Any:
    """The variant of an operation in place that returns a new tensor; otherwise `func`."""
    name = func._schema.name.removeprefix("aten::")
    packet = getattr(torch.ops.aten, name[:-1], None) if name.endswith("_") else None
    return getattr(packet, func._overloadname, func)


def _by_name(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False))
    return {
        argument.name: given.get(argument.name, kwargs.get(argument.name, argument.default_value))
        for argument in func._schema.arguments
    }
