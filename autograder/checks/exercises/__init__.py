"""What each exercise of Assignment 2 asks for, a file for each topic.

Every file in this folder is looked at; its exercises, if any, stand in its `EXERCISES`.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol

from autograder.checks.verdict import Verdict


class Exercise(Protocol):
    """Something that a student writes and a hidden test cell marks."""

    @property
    def name(self) -> str:
        """Of the exercise, its cell and its bank: "basic_block"."""

    @property
    def answers(self) -> tuple[str, ...]:
        """What the student defines, in the order in which `examine` takes it."""

    @property
    def points(self) -> float: ...

    @property
    def builds_on(self) -> Any:
        """Earlier answers that it may be made of, by name, and right versions of them."""

    @property
    def sentences(self) -> frozenset[str]:
        """For known mistakes: they quote nothing that a student wrote."""

    def examine(self, *answers: Any, seed: int) -> Verdict: ...


_TOPICS = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise for topic in _TOPICS for exercise in getattr(topic, "EXERCISES", ())
}
