"""Run the hidden tests on the bank of wrong and correct answers, and print a table."""

from itertools import groupby

from rich import box
from rich.console import Console
from rich.table import Table

from autograder.authoring.bank import Judged, judge, load
from autograder.checks import EXERCISES
from autograder.course.folder import Course
from autograder.errors import CourseError

# The numbers of mutants and variants that an exercise needs at least.
LEAST = {"block": (6, 3), "function": (3, 2)}


def selftest(
    course: Course, assignment: str, exercise: str | None = None, seed: int = 0
) -> list[Judged]:
    """Run the hidden tests on every entry of the bank, or on those of one exercise.

    Args:
        course: the course.
        assignment: the name of the assignment.
        exercise: the name of an exercise; `None` for all.
        seed: seeds inputs and weights.

    Raises:
        CourseError: there is no such exercise, or an entry cannot be run.
    """
    entries = load(course, assignment)
    if exercise is not None:
        entries = [entry for entry in entries if entry.exercise == exercise]
        if not entries:
            raise CourseError(
                f"{assignment} has no exercise {exercise}. Choose one of: {', '.join(EXERCISES)}."
            )
    return [judge(entry, seed) for entry in entries]


def gaps(judged: list[Judged]) -> list[str]:
    """Return a sentence for each exercise whose bank is too small."""
    sentences = []
    for exercise, group in groupby(judged, key=lambda one: one.entry.exercise):
        is_block = EXERCISES[exercise].answers[0][0].isupper()
        mutants, variants = LEAST["block" if is_block else "function"]
        wrong = [one.entry.says is not None for one in group]
        found = sum(wrong), len(wrong) - sum(wrong) - 1  # the source notebook's answer is a variant
        if found[0] < mutants or found[1] < variants:
            sentences.append(
                f"{exercise}: mutants/{exercise}.toml has {found[0]} mutants and {found[1]} "
                f"variants; write at least {mutants} and {variants}."
            )
    return sentences


def print_judged(judged: list[Judged], console: Console) -> None:
    """Print a line for each exercise, then what is wrong or missing."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("exercise", no_wrap=True)
    for header in ("variants", "full marks", "mutants", "killed", "named", "marks kept"):
        table.add_column(header, justify="right")
    for exercise, group in groupby(judged, key=lambda one: one.entry.exercise):
        table.add_row(exercise, *_row(list(group)))
    table.add_section()
    table.add_row("all", *_row(judged))
    console.print(table)
    for one in judged:
        if one.problem:
            where = f"{one.entry.exercise}, {one.entry.name}: {one.problem}."
            console.print(where, markup=False, style="red")
    for sentence in gaps(judged):
        console.print(sentence, markup=False, style="red")


def _row(judged: list[Judged]) -> list[str]:
    right = [one.verdict for one in judged if one.entry.says is None]
    wrong = [one for one in judged if one.entry.says is not None]
    full = sum(verdict.marks == verdict.out_of for verdict in right)
    killed = sum(one.verdict.marks < one.verdict.out_of for one in wrong)
    named = sum(one.is_named for one in wrong)
    shares = [one.verdict.marks / one.verdict.out_of for one in wrong]
    kept = f"{sum(shares) / len(shares):.0%}" if shares else ""
    return [*map(str, (len(right), full, len(wrong), killed, named)), kept]
