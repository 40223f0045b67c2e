"""Hidden tests: what each exercise asks for, how an answer is compared, and what students are told.

A hidden test cell holds one line: `check("basic_block", BasicBlock).report()`.
"""

from autograder.checks.earlier_answers import replaced
from autograder.checks.exercises import EXERCISES
from autograder.checks.student import StudentError
from autograder.checks.verdict import Verdict
from autograder.course.secret import seed_of

__all__ = ["EXERCISES", "check"]


def check(exercise: str, *answers: object, seed: int | None = None) -> Verdict:
    """Mark a student's answers to an exercise.

    Args:
        exercise: the name of the exercise in `EXERCISES`.
        answers: the student's classes or functions, in the order of the exercise's `answers`.
        seed: seeds inputs and weights; `None` takes the seed that follows from the release secret.
    """
    asked = EXERCISES[exercise]
    seed = seed_of(exercise) if seed is None else seed
    verdict = asked.examine(*answers, seed=seed)
    if verdict.marks == verdict.out_of or not asked.builds_on:
        return verdict
    with replaced(dict(zip(asked.answers, answers, strict=True)), asked.builds_on) as instead:
        if instead is None:
            return verdict
        try:
            again = asked.examine(*instead, seed=seed)
        except StudentError:
            return verdict
    # The student's code has now run next to reference answers. So that it cannot pass them on in an
    # error message, only sentences that could be known before are reported.
    known = {*verdict.sentences, *asked.sentences}
    name = asked.answers[0]
    again = again.saying_only(
        known, f"{name} is wrong even with correct versions of the earlier answers that it uses."
    )
    return max(verdict, again, key=lambda found: found.marks)
