"""Run the bank of wrong and right answers through the hidden tests, and print a table."""

from itertools import groupby

from rich.console import Console
from rich.table import Table

from autograder.bank import Judged, judge, load
from autograder.checks import EXERCISES
from autograder.course import Course
from autograder.errors import CourseError


def selftest(
    course: Course, assignment: str, exercise: str | None = None, seed: int = 0
) -> list[Judged]:
    """What the hidden tests find in every entry of the bank, or in those of one exercise."""
    entries = load(course, assignment)
    if exercise is not None:
        entries = [entry for entry in entries if entry.exercise == exercise]
        if not entries:
            raise CourseError(
                f"{assignment} has no exercise {exercise}. It has: {', '.join(EXERCISES)}."
            )
    return [judge(entry, seed) for entry in entries]


def print_judged(judged: list[Judged], console: Console) -> None:
    """A line for each exercise, then what is wrong."""
    table = Table()
    table.add_column("exercise", no_wrap=True)
    for header in ("variants", "full marks", "mutants", "killed", "rightly named", "marks kept"):
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


def _row(judged: list[Judged]) -> list[str]:
    right = [one.verdict for one in judged if one.entry.says is None]
    wrong = [one for one in judged if one.entry.says is not None]
    full = sum(verdict.marks == verdict.out_of for verdict in right)
    killed = sum(one.verdict.marks < one.verdict.out_of for one in wrong)
    named = sum(one.is_named for one in wrong)
    shares = [one.verdict.marks / one.verdict.out_of for one in wrong]
    kept = f"{sum(shares) / len(shares):.0%}" if shares else ""
    return [*map(str, (len(right), full, len(wrong), killed, named)), kept]
