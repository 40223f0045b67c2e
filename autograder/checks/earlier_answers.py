"""Examine an answer with reference versions of the earlier answers that it uses.

A student may build on an earlier answer. A mistake in it costs marks in its own exercise only.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from textwrap import dedent
from types import FunctionType
from typing import Any

from autograder.checks.student import AnswerProxy, defined_from


@contextmanager
def replaced(
    answers: Mapping[str, object], references: Mapping[str, Callable[..., Any]]
) -> Iterator[tuple[object, ...] | None]:
    """Replace earlier answers by reference versions, where the answers look them up.

    The source of a reference version is run again on the student's side, so it may use no names but
    `torch`, `nn`, `functional` and `Tensor`.

    Args:
        answers: the answers to an exercise, by name.
        references: reference versions of earlier answers, by name; one of the answers may be
            among them.

    Yields:
        The answers to examine, or `None` where nothing was replaced.
    """
    own = tuple(answers.values())
    if remote := next((one for one in own if isinstance(one, AnswerProxy)), None):
        sources = {name: (one.__name__, source_of(one)) for name, one in references.items()}
        with remote.replacing(sources) as any_replaced:
            yield own if any_replaced else None
        return
    versions = {name: redefined(version) for name, version in references.items()}
    spaces = {id(space): space for answer in own for space in _namespaces(answer)}
    before = [
        (space, name, space[name])
        for space in spaces.values()
        for name in references
        if name in space
    ]
    try:
        for space, name, _ in before:
            space[name] = versions[name]
        if before or references.keys() & answers.keys():
            yield tuple(versions.get(name, answer) for name, answer in answers.items())
        else:
            yield None
    finally:
        for space, name, value in before:
            space[name] = value


def source_of(version: Callable[..., Any]) -> str:
    """Return the source text of a reference version."""
    return dedent(inspect.getsource(version))


def redefined(version: Callable[..., Any], answer: object = None) -> Any:
    """Run the source of a function or class again, and return what it defines.

    Args:
        version: a function or class of the course.
        answer: an answer; if it lives in another process, the source runs there, where the
            student's code may read it.
    """
    if isinstance(answer, AnswerProxy):
        return answer.define(version.__name__, source_of(version))
    return defined_from(version.__name__, source_of(version))


def _namespaces(answer: object) -> Iterator[dict[str, Any]]:
    """Yield the global namespaces of a function, or of the methods of a class."""
    members = vars(answer).values() if isinstance(answer, type) else (answer,)
    for member in members:
        if isinstance(member, FunctionType):
            yield member.__globals__
