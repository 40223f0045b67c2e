"""Hidden tests: what an exercise asks for, and the sentence for what an answer does not do.

A hidden test cell is one line: `check("basic_block", BasicBlock).report()`.
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
        exercise: its name in `EXERCISES`.
        answers: what the student defined, in the order of the exercise's `answers`.
        seed: of inputs and weights; from the release's secret if `None`.
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
    # The student's code has seen right answers: it gets no words out but those that it had before.
    known = {*verdict.sentences, *asked.sentences}
    name = asked.answers[0]
    again = again.saying_only(known, f"{name} is wrong with right versions of what it calls, too.")
    return max(verdict, again, key=lambda found: found.marks)
