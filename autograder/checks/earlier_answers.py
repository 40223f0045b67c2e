"""Let an answer stand on right versions of the earlier answers that it is made of.

A student may build on an earlier answer. If that one is wrong, only its own exercise pays.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from textwrap import dedent
from types import FunctionType
from typing import Any

from autograder.checks.student import Elsewhere, defined_from


@contextmanager
def replaced(
    answers: Mapping[str, object], right: Mapping[str, Callable[..., Any]]
) -> Iterator[tuple[object, ...] | None]:
    """Put the right versions where the answers look them up.

    A right version must need no names but `torch`, `nn`, `functional` and `Tensor`: it is defined
    anew on the student's side, like code of the student's own.

    Args:
        answers: to an exercise, by name.
        right: versions of earlier ones, by name; an answer may itself be one.

    Yields:
        the answers to examine; `None` where nothing was replaced.
    """
    given = tuple(answers.values())
    if remote := next((one for one in given if isinstance(one, Elsewhere)), None):
        sources = {name: (version.__name__, source_of(version)) for name, version in right.items()}
        with remote.replacing(sources) as any_replaced:
            yield given if any_replaced else None
        return
    versions = {name: defined_anew(version) for name, version in right.items()}
    spaces = {id(space): space for answer in given for space in _namespaces(answer)}
    before = [
        (space, name, space[name]) for space in spaces.values() for name in right if name in space
    ]
    try:
        for space, name, _ in before:
            space[name] = versions[name]
        if before or right.keys() & answers.keys():
            yield tuple(versions.get(name, answer) for name, answer in answers.items())
        else:
            yield None
    finally:
        for space, name, value in before:
            space[name] = value


def source_of(version: Callable[..., Any]) -> str:
    """The text of a right version."""
    return dedent(inspect.getsource(version))


def defined_anew(version: Callable[..., Any], beside: object = None) -> Any:
    """The same function or class, where `beside` lives; there the student may read it."""
    if isinstance(beside, Elsewhere):
        return beside.define(version.__name__, source_of(version))
    return defined_from(version.__name__, source_of(version))


def _namespaces(answer: object) -> Iterator[dict[str, Any]]:
    """The global names that a function, or the methods of a class, see."""
    members = vars(answer).values() if isinstance(answer, type) else (answer,)
    for member in members:
        if isinstance(member, FunctionType):
            yield member.__globals__
