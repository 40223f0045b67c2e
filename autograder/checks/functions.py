"""Examine a function: the same calls to the student's and to ours, and the answers side by side.

The calls belong to parts (values, gradients, large inputs …). A part earns its marks in proportion
to the calls that are answered right. A function that is wrong in a way that students often are is
recognised by giving the same answers as one that makes this mistake, and is told its sentence.
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from autograder.checks.student import (
    Function,
    StudentError,
    gradients_of,
    open_function,
)
from autograder.checks.verdict import Part, Verdict

# Of the largest value. Right versions differ by rounding alone.
TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-5}
EXACT, LENIENT = 1e-9, 1e-3
# How a wrong function may fail, such as by shapes that do not fit.
BREAKS = (RuntimeError, TypeError, ArithmeticError, LookupError)


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
        impossible: the right answer is a ValueError.
    """

    part: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any] = field(default_factory=dict)
    gradients: bool = False
    lenient: bool = False
    exact: bool = False
    impossible: bool = False


@dataclass(frozen=True)
class Slip:
    """What students often write instead, and the sentence that helps."""

    sentence: str
    function: Callable[..., Any]


@dataclass(frozen=True, eq=False)
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

    @property
    def sentences(self) -> frozenset[str]:
        return frozenset(slip.sentence for slip in self.slips)

    def examine(self, function: Any, *, seed: int) -> Verdict:
        """Mark a student's function. The seed chooses the arguments."""
        ours = _prepared(self, seed)
        student = open_function(function, self.answer, self.forbidden)
        given = [answer(student, call) for call in ours.calls]
        wrong = {
            number: sentence
            for number, (call, right, theirs) in enumerate(
                zip(ours.calls, ours.expected, given, strict=True)
            )
            if (sentence := difference(student, call, right, theirs))
        }
        known = ours.recognised(given) if wrong else None
        parts = []
        for part, out_of in self.marks.items():
            numbers = [number for number, call in enumerate(ours.calls) if call.part == part]
            failed = [number for number in numbers if number in wrong]
            marks = out_of * (1 - len(failed) / len(numbers))
            sentence = (known or wrong[failed[0]]) if failed else ""
            parts.append(Part(part, marks, out_of, sentence))
        return Verdict(tuple(parts))


class _Prepared:
    """An exercise's calls as every student gets them, and what ours answer."""

    def __init__(self, exercise: FunctionExercise, seed: int) -> None:
        self.exercise = exercise
        self.calls = exercise.calls(torch.Generator().manual_seed(seed))
        right = OurFunction(exercise.right, exercise.answer)
        self.expected = [answer(right, call) for call in self.calls]
        for call, found in zip(self.calls, self.expected, strict=True):
            if isinstance(found, Failed) and (found.kind, call.impossible) != ("ValueError", True):
                raise RuntimeError(f"The right answer of {exercise.name} fails: {found.sentence}")

    def recognised(self, given: list[Any]) -> str | None:
        """The sentence of the first slip that answers every call as the student does."""
        for slip, ours in zip(self.exercise.slips, self._slipped, strict=True):
            if all(map(_agree, given, ours)):
                return slip.sentence
        return None

    @cached_property
    def _slipped(self) -> list[list[Any]]:
        """What each slip answers; it may break on some calls."""
        name = self.exercise.answer
        slips = [OurFunction(slip.function, name, BREAKS) for slip in self.exercise.slips]
        return [[answer(slip, call) for call in self.calls] for slip in slips]


# A class has the same calls for all.
_prepared = lru_cache(maxsize=128)(_Prepared)


class OurFunction(Function):
    """A function of ours, called without watching what it calls.

    Args:
        breaks: errors that are an answer; any other is an error of the tests.
    """

    def __init__(self, function: Any, name: str, breaks: tuple[type[Exception], ...] = ()) -> None:
        super().__init__(function, name)
        self._breaks = breaks

    def call(self, *arguments: Any, **keywords: Any) -> Any:
        try:
            return self._function(*arguments, **keywords)
        except self._breaks as error:
            raise StudentError(type(error).__name__) from None

    def _differentiated(
        self, label: str, result: Tensor, leaves: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        try:
            return gradients_of(result, leaves)
        except self._breaks as error:
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
            key in theirs and _agree(theirs[key], ours[key], lenient=lenient) for key in ours
        )
    if isinstance(ours, list | tuple):
        same = isinstance(theirs, list | tuple) and len(theirs) == len(ours)
        return same and all(
            _agree(a, b, lenient=lenient) for a, b in zip(theirs, ours, strict=True)
        )
    if isinstance(ours, int | float) and lenient:
        return _is_near(theirs, ours)
    if isinstance(ours, float):
        return type(theirs) is float and _is_near(theirs, ours)
    return type(theirs) is type(ours) and bool(theirs == ours)


def _is_near(theirs: Any, ours: float) -> bool:
    """Whether something is a number, of whatever type, and near ours."""
    if not isinstance(theirs, int | float | np.generic | Tensor):
        return False
    try:
        return math.isclose(float(theirs), ours, rel_tol=1e-6, abs_tol=1e-12)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # several numbers, or a huge one
        return False


def _refused(function: Function, call: Call, error: ValueError) -> str:
    return f"{function.label(call.arguments, call.keywords)} raised ValueError: {error}"


def _article(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"
