"""What each exercise of Assignment 2 asks for, a file for each topic."""

from typing import Any, Protocol

from autograder.checks.exercises import activations, residual, training
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

    def examine(self, *answers: Any, seed: int) -> Verdict: ...


EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise
    for topic in (activations, residual, training)
    for exercise in topic.EXERCISES
}
