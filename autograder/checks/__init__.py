"""Hidden tests: what an exercise asks for, and the sentence for what an answer does not do.

A hidden test cell is one line: `check("basic_block", BasicBlock).report()`.
"""

from autograder.checks.earlier_answers import replaced
from autograder.checks.exercises import EXERCISES
from autograder.checks.verdict import Verdict
from autograder.secret import seed_of

__all__ = ["EXERCISES", "check"]


def check(exercise: str, *answers: object, seed: int | None = None) -> Verdict:
    """Mark a student's answers to an exercise.

    Args:
        exercise: its name in `EXERCISES`.
        answers: what the student defined, in the order of the exercise's `answers`.
        seed: of inputs and weights; from the release's secret if `None`.
    """
    asked = EXERCISES[exercise]
    seed = seed_of(exercise) if seed is None else seed
    verdict = asked.examine(*answers, seed=seed)
    if verdict.marks == verdict.out_of or not asked.builds_on:
        return verdict
    with replaced(answers, asked.builds_on) as any_replaced:
        if any_replaced:
            again = asked.examine(*answers, seed=seed)
            return max(verdict, again, key=lambda found: found.marks)
    return verdict
