"""The exercises of Assignment 2, one file for each topic.

Every module in this folder is imported; its `EXERCISES` lists the exercises that it defines.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol

from autograder.checks.verdict import Verdict


class Exercise(Protocol):
    """An exercise that a hidden test cell marks."""

    @property
    def name(self) -> str:
        """The name of the exercise, its cell and its bank, such as "basic_block"."""

    @property
    def answers(self) -> tuple[str, ...]:
        """The names that the student defines, in the order in which `examine` takes them."""

    @property
    def points(self) -> float:
        """The marks that the exercise can earn."""

    @property
    def builds_on(self) -> Any:
        """Reference versions of earlier answers that the answer may use, by name."""

    @property
    def sentences(self) -> frozenset[str]:
        """The sentences of known mistakes, which quote nothing that a student wrote."""

    def examine(self, *answers: Any, seed: int) -> Verdict:
        """Mark a student's answers; `seed` seeds inputs and weights."""


_TOPICS = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise for topic in _TOPICS for exercise in getattr(topic, "EXERCISES", ())
}
