"""Examine a function: the same calls to the student's and to ours, and the answers side by side.

The calls belong to parts (values, gradients, large inputs …). A part earns its marks in proportion
to the calls that are answered right. A function that is wrong in a way that students often are is
recognised by giving the same answers as one that makes this mistake, and is told its sentence.
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from autograder.checks.student import (
    Function,
    StudentError,
    open_function,
)
from autograder.checks.verdict import Part, Verdict
from autograder.errors import CourseError

# Of the largest value. Right versions differ by rounding alone.
TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-5}
EXACT, LENIENT = 1e-9, 1e-3


@dataclass(frozen=True)
class Call:
    """A call of the function.

    Args:
        part: what it belongs to: "values".
        arguments: as they are given; tensors must not be changed by the call.
        keywords: the others, by name.
        gradients: look at the gradients by the floating-point arguments, not at the result.
        lenient: a tensor may be off by a thousandth, and a number may be of another type.
        exact: a float64 tensor is compared to its last digits, which show rounded constants.
    """

    part: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any] = field(default_factory=dict)
    gradients: bool = False
    lenient: bool = False
    exact: bool = False


@dataclass(frozen=True)
class Slip:
    """What students often write instead, and the sentence that helps."""

    sentence: str
    function: Callable[..., Any]


@dataclass(frozen=True)
class FunctionExercise:
    """What is asked of a function.

    Args:
        name: of the exercise, its cell and its bank: "leaky_relu".
        answer: the student's name, most often the same.
        right: the function.
        calls: the calls to make, given a generator.
        marks: by part.
        slips: the known mistakes.
        forbidden: PyTorch's operators that the function must not call.
        builds_on: earlier answers that it may call, by name, and right versions.
    """

    name: str
    answer: str
    right: Callable[..., Any]
    calls: Callable[[Generator], list[Call]]
    marks: Mapping[str, float]
    slips: tuple[Slip, ...] = ()
    forbidden: frozenset[str] = frozenset()
    builds_on: Mapping[str, Any] = field(default_factory=dict)

    @property
    def answers(self) -> tuple[str, ...]:
        return (self.answer,)

    @property
    def points(self) -> float:
        return sum(self.marks.values())

    def examine(self, function: Any, *, seed: int) -> Verdict:
        """Mark a student's function. The seed chooses the arguments."""
        calls = self.calls(torch.Generator().manual_seed(seed))
        student = open_function(function, self.answer, self.forbidden)
        expected = [answer(OurFunction(self.right, self.answer), call) for call in calls]
        given = [answer(student, call) for call in calls]
        wrong = {
            number: sentence
            for number, (call, ours, theirs) in enumerate(zip(calls, expected, given, strict=True))
            if (sentence := difference(student, call, ours, theirs))
        }
        known = self._recognised(calls, given) if wrong else None
        parts = []
        for part, out_of in self.marks.items():
            numbers = [number for number, call in enumerate(calls) if call.part == part]
            failed = [number for number in numbers if number in wrong]
            marks = out_of * (1 - len(failed) / len(numbers))
            sentence = (known or wrong[failed[0]]) if failed else ""
            parts.append(Part(part, marks, out_of, sentence))
        return Verdict(tuple(parts))

    def _recognised(self, calls: list[Call], given: list[Any]) -> str | None:
        """The sentence of the first slip that answers every call as the student does."""
        for slip in self.slips:
            ours = [answer(OurFunction(slip.function, self.answer), call) for call in calls]
            if all(_agree(a, b) for a, b in zip(ours, given, strict=True)):
                return slip.sentence
        return None


class OurFunction(Function):
    """A function of ours, called without watching what it calls."""

    def call(self, *arguments: Any, **keywords: Any) -> Any:
        try:
            return self._function(*arguments, **keywords)
        except (ValueError, CourseError):
            raise
        except Exception as error:  # a slip may break on some arguments
            raise StudentError(type(error).__name__) from None


@dataclass(frozen=True)
class Failed:
    """No answer, and why; all failures of one kind are alike."""

    kind: str
    sentence: str = field(compare=False, default="")


def answer(function: Function, call: Call) -> Any:
    """What the function makes of a call, or `Failed`."""
    arguments = [
        value.clone() if isinstance(value, Tensor) else copy.deepcopy(value)
        for value in call.arguments
    ]
    try:
        if call.gradients:
            return function.gradients(*arguments, **call.keywords)
        result = function.call(*arguments, **call.keywords)
        return result.detach() if isinstance(result, Tensor) else result
    except ValueError as error:
        return Failed("ValueError", _refused(function, call, error))
    except StudentError as error:
        return Failed("error", str(error))


def difference(function: Function, call: Call, ours: Any, theirs: Any) -> str | None:
    """A sentence for an answer that is not ours."""
    if isinstance(theirs, Failed) and theirs != ours:
        return theirs.sentence
    if _agree(theirs, ours, lenient=call.lenient, exact=call.exact):
        return None
    label = function.label(call.arguments, call.keywords)
    if isinstance(ours, Failed):
        return f"{label} is impossible: raise a ValueError that says why."
    if call.gradients:
        finite = all(bool(gradient.isfinite().all()) for gradient in theirs.values())
        return f"{label}: the gradients are {'wrong' if finite else 'not finite'}."
    if isinstance(ours, Tensor):
        if not isinstance(theirs, Tensor):
            return f"{label} returns a {type(theirs).__name__}, not a tensor."
        if theirs.shape != ours.shape:
            return f"{label} has shape {tuple(theirs.shape)} instead of {tuple(ours.shape)}."
        if theirs.dtype != ours.dtype:
            return f"{label} returns {theirs.dtype} for an input of {ours.dtype}."
        if not theirs.isfinite().all():
            return f"{label} is not finite everywhere."
        return f"{label} has wrong values."
    if type(theirs) is not type(ours):
        return f"{label} returns a {type(theirs).__name__}, not {_article(type(ours).__name__)}."
    return f"{label} is not {theirs!r}."


def _agree(theirs: Any, ours: Any, *, lenient: bool = False, exact: bool = False) -> bool:
    if isinstance(ours, Tensor):
        if not isinstance(theirs, Tensor):
            return False
        if (theirs.shape, theirs.dtype) != (ours.shape, ours.dtype):
            return False
        if not ours.is_floating_point():
            return torch.equal(theirs, ours)
        scale = max(1.0, ours.abs().nan_to_num(0, 0, 0).max().item()) if ours.numel() else 1.0
        tolerance = scale * (LENIENT if lenient else TOLERANCES[ours.dtype])
        if exact and ours.dtype == torch.float64:
            tolerance = scale * EXACT
        return torch.allclose(theirs, ours, rtol=0, atol=tolerance, equal_nan=True)
    if isinstance(ours, dict):  # gradients by argument
        return isinstance(theirs, dict) and all(
            _agree(theirs[key], ours[key], lenient=lenient) for key in ours
        )
    if isinstance(ours, list | tuple):
        same = isinstance(theirs, list | tuple) and len(theirs) == len(ours)
        return same and all(
            _agree(a, b, lenient=lenient) for a, b in zip(theirs, ours, strict=True)
        )
    if isinstance(ours, int | float) and lenient:
        return _is_number(theirs) and math.isclose(theirs, ours, rel_tol=1e-6, abs_tol=1e-12)
    if isinstance(ours, float):
        return type(theirs) is float and math.isclose(theirs, ours, rel_tol=1e-6, abs_tol=1e-12)
    return type(theirs) is type(ours) and bool(theirs == ours)


def _is_number(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1
    return isinstance(value, int | float | np.generic)


def _refused(function: Function, call: Call, error: ValueError) -> str:
    return f"{function.label(call.arguments, call.keywords)} raised ValueError: {error}"


def _article(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"
