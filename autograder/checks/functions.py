"""Examine a function: call the student's and the reference with the same arguments, and compare.

Each call belongs to a part (values, gradients, large inputs …). A part earns its marks in
proportion to the calls that are answered correctly. A common mistake is recognised when all answers
agree with those of a function that makes this mistake; its sentence then explains what is wrong.
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

# Relative to the largest value. Correct versions differ by rounding alone.
TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-5}
EXACT, LENIENT = 1e-9, 1e-3
# Errors that the function of a known mistake may raise, such as for shapes that do not fit.
BREAKS = (RuntimeError, TypeError, ArithmeticError, LookupError)


@dataclass(frozen=True)
class Call:
    """A call of the function.

    Args:
        part: the part that it belongs to, such as "values".
        arguments: positional arguments; the call must not change tensors among them.
        keywords: keyword arguments.
        gradients: compare gradients by the floating-point arguments instead of the result.
        lenient: accept a tensor that is off by a thousandth, and a number of another type.
        exact: compare a float64 tensor to `EXACT`, which reveals rounded constants.
        impossible: the correct answer is to raise a ValueError.
    """

    part: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any] = field(default_factory=dict)
    gradients: bool = False
    lenient: bool = False
    exact: bool = False
    impossible: bool = False


@dataclass(frozen=True)
class WrongFunction:
    """A common mistake.

    Args:
        sentence: what a student who makes it is told.
        function: a function that makes it.
    """

    sentence: str
    function: Callable[..., Any]


@dataclass(frozen=True, eq=False)
class FunctionExercise:
    """An exercise whose answer is a function.

    Args:
        name: the name of the exercise, its cell and its bank, such as "leaky_relu".
        answer: the name of the student's function.
        reference: the correct function.
        calls: makes the calls, given a random generator.
        marks: the marks of each part.
        mistakes: the known mistakes.
        forbidden: operators of PyTorch that the function must not call.
        builds_on: reference versions of earlier answers that the function may call, by name.
    """

    name: str
    answer: str
    reference: Callable[..., Any]
    calls: Callable[[Generator], list[Call]]
    marks: Mapping[str, float]
    mistakes: tuple[WrongFunction, ...] = ()
    forbidden: frozenset[str] = frozenset()
    builds_on: Mapping[str, Any] = field(default_factory=dict)

    @property
    def answers(self) -> tuple[str, ...]:
        """The name of the student's function."""
        return (self.answer,)

    @property
    def points(self) -> float:
        """The marks that the exercise can earn."""
        return sum(self.marks.values())

    @property
    def sentences(self) -> frozenset[str]:
        """The sentences of the known mistakes."""
        return frozenset(mistake.sentence for mistake in self.mistakes)

    def examine(self, function: Any, *, seed: int) -> Verdict:
        """Mark a student's function.

        Args:
            function: the student's function, or an `AnswerProxy` of it.
            seed: seeds the random arguments.
        """
        prepared = _prepared(self, seed)
        student = open_function(function, self.answer, self.forbidden)
        answers = [answer(student, call) for call in prepared.calls]
        wrong = {
            number: sentence
            for number, (call, expected, found) in enumerate(
                zip(prepared.calls, prepared.expected, answers, strict=True)
            )
            if (sentence := difference(student, call, expected, found))
        }
        known = prepared.recognised(answers) if wrong else None
        parts = []
        for part, out_of in self.marks.items():
            numbers = [number for number, call in enumerate(prepared.calls) if call.part == part]
            failed = [number for number in numbers if number in wrong]
            marks = out_of * (1 - len(failed) / len(numbers))
            sentence = (known or wrong[failed[0]]) if failed else ""
            parts.append(Part(part, marks, out_of, sentence))
        return Verdict(tuple(parts))


class _PreparedCalls:
    """The calls of an exercise, the same for all students, and the reference's answers."""

    def __init__(self, exercise: FunctionExercise, seed: int) -> None:
        self.exercise = exercise
        self.calls = exercise.calls(torch.Generator().manual_seed(seed))
        reference = TrustedFunction(exercise.reference, exercise.answer)
        self.expected = [answer(reference, call) for call in self.calls]
        for call, found in zip(self.calls, self.expected, strict=True):
            if isinstance(found, Failed) and (found.kind, call.impossible) != ("ValueError", True):
                raise RuntimeError(f"The reference of {exercise.name} fails: {found.sentence}")

    def recognised(self, answers: list[Any]) -> str | None:
        """Return the sentence of the first mistake whose answers all agree with the student's."""
        for mistake, wrong in zip(self.exercise.mistakes, self._wrong_answers, strict=True):
            if all(map(_agree, answers, wrong)):
                return mistake.sentence
        return None

    @cached_property
    def _wrong_answers(self) -> list[list[Any]]:
        """The answers of each mistake, with `Failed` for the calls on which it breaks."""
        name = self.exercise.answer
        functions = [
            TrustedFunction(mistake.function, name, BREAKS) for mistake in self.exercise.mistakes
        ]
        return [[answer(function, call) for call in self.calls] for function in functions]


# All students get the same calls.
_prepared = lru_cache(maxsize=128)(_PreparedCalls)


class TrustedFunction(Function):
    """A function of the course, called without the watch that student code needs.

    Args:
        function: the function.
        name: its name in messages.
        breaks: errors that count as an answer; any other is an error of the tests.
    """

    def __init__(self, function: Any, name: str, breaks: tuple[type[Exception], ...] = ()) -> None:
        super().__init__(function, name)
        self._breaks = breaks

    def call(self, *arguments: Any, **keywords: Any) -> Any:
        """Call the function and return its result.

        Raises:
            StudentError: the function raised an error that counts as an answer.
        """
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
    """The outcome of a call that raised an error; failures of one kind are equal."""

    kind: str
    sentence: str = field(compare=False, default="")


def answer(function: Function, call: Call) -> Any:
    """Return the result or the gradients of a call, or `Failed` if it raises an error."""
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


def difference(function: Function, call: Call, expected: Any, found: Any) -> str | None:
    """Return a sentence that says how an answer differs from the expected one, or `None`."""
    if isinstance(found, Failed) and found != expected:
        return found.sentence
    if _agree(found, expected, lenient=call.lenient, exact=call.exact):
        return None
    label = function.label(call.arguments, call.keywords)
    if isinstance(expected, Failed):
        return f"{label} is impossible: raise a ValueError that says why."
    if call.gradients:
        finite = all(bool(gradient.isfinite().all()) for gradient in found.values())
        return f"{label}: the gradients are {'wrong' if finite else 'not finite'}."
    if isinstance(expected, Tensor):
        if not isinstance(found, Tensor):
            return f"{label} returns a {type(found).__name__}, not a tensor."
        if found.shape != expected.shape:
            return f"{label} has shape {tuple(found.shape)} instead of {tuple(expected.shape)}."
        if found.dtype != expected.dtype:
            return f"{label} returns {found.dtype} for an input of {expected.dtype}."
        if not found.isfinite().all():
            return f"{label} is not finite everywhere."
        return f"{label} has wrong values."
    if type(found) is not type(expected):
        return f"{label} returns a {type(found).__name__}, not {_article(type(expected).__name__)}."
    return f"{label} is not {found!r}."


def _agree(found: Any, expected: Any, *, lenient: bool = False, exact: bool = False) -> bool:
    if isinstance(expected, Tensor):
        if not isinstance(found, Tensor):
            return False
        if (found.shape, found.dtype) != (expected.shape, expected.dtype):
            return False
        if not expected.is_floating_point():
            return torch.equal(found, expected)
        scale = (
            max(1.0, expected.abs().nan_to_num(0, 0, 0).max().item()) if expected.numel() else 1.0
        )
        tolerance = scale * (LENIENT if lenient else TOLERANCES[expected.dtype])
        if exact and expected.dtype == torch.float64:
            tolerance = scale * EXACT
        return torch.allclose(found, expected, rtol=0, atol=tolerance, equal_nan=True)
    if isinstance(expected, dict):  # gradients by argument
        return isinstance(found, dict) and all(
            key in found and _agree(found[key], expected[key], lenient=lenient) for key in expected
        )
    if isinstance(expected, list | tuple):
        same = isinstance(found, list | tuple) and len(found) == len(expected)
        return same and all(
            _agree(a, b, lenient=lenient) for a, b in zip(found, expected, strict=True)
        )
    if isinstance(expected, int | float) and lenient:
        return _is_near(found, expected)
    if isinstance(expected, float):
        return type(found) is float and _is_near(found, expected)
    return type(found) is type(expected) and bool(found == expected)


def _is_near(found: Any, expected: float) -> bool:
    """Whether `found` is a number of any type that is close to the expected one."""
    if not isinstance(found, int | float | np.generic | Tensor):
        return False
    try:
        return math.isclose(float(found), expected, rel_tol=1e-6, abs_tol=1e-12)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # several numbers, or too large
        return False


def _refused(function: Function, call: Call, error: ValueError) -> str:
    return f"{function.label(call.arguments, call.keywords)} raised ValueError: {error}"


def _article(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"
