"""Marks for people: a table of students and notebooks, and a file with every exercise."""

import csv
from collections import Counter
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from autograder.course.folder import atomic_write
from autograder.grading.grade import Outcome
from autograder.grading.gradebook import Marks
from autograder.grading.job import State

WAITS = "+ ?"


class Bar:
    """A progress bar in a terminal: students, time left, and exercises by state."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("students"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("")

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __call__(self, done: int, of: int, states: Counter[State]) -> None:
        self._progress.update(self._task, completed=done, total=of, description=_counts(states))


def print_outcome(outcome: Outcome, console: Console) -> None:
    """A line for each student, a column for each notebook; then whom to look after, and why."""
    table = Table()
    table.add_column("student", no_wrap=True)
    for name, exercises in outcome.notebooks.items():
        heading = "\n".join([*name.split("_"), f"/ {sum(exercises.values()):g}"])
        table.add_column(heading, justify="right", vertical="middle", no_wrap=True)
    table.add_column("late", justify="right")
    table.add_column(f"total\n/ {sum(outcome.out_of.values()):g}", justify="right")
    for student, marks in outcome.marks.items():
        late = f"-{marks.penalty:g}" if marks.penalty else ""
        columns = [_sum(marks, exercises) for exercises in outcome.notebooks.values()]
        table.add_row(student, *columns, late, f"{marks.total:g}")
    console.print(table)
    console.print(f"Exercises: {_counts(outcome.states) or 'none'}.")
    if outcome.unchanged:
        console.print(f"{outcome.unchanged} students are unchanged since they were graded.")
    if any(None in marks.exercises.values() for marks in outcome.marks.values()):
        console.print(f"{WAITS} waits for marks by hand: give them in formgrader.")
    for student, remark in outcome.remarks.items():
        console.print(f"{student}: {remark}", markup=False)
    for student, problem in outcome.problems.items():
        console.print(f"[bold red]Not graded:[/] {student}. ", end="")
        console.print(problem, markup=False)


def write_details(outcome: Outcome, path: Path) -> None:
    """A CSV file with the marks of every exercise; what waits for marks by hand is empty."""
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        names = list(outcome.out_of)
        books = {name: book for book, points in outcome.notebooks.items() for name in points}
        writer.writerow(["notebook", *(books[name] for name in names), "", ""])
        writer.writerow(["student", *names, "late", "total"])
        points = [f"{points:g}" for points in outcome.out_of.values()]
        writer.writerow(["out of", *points, "", f"{sum(outcome.out_of.values()):g}"])
        for student, marks in outcome.marks.items():
            row = [_number(marks.exercises[name]) for name in names]
            writer.writerow([student, *row, f"{0 - marks.penalty:g}", f"{marks.total:g}"])


def _counts(states: Counter[State]) -> str:
    return ", ".join(f"{states[state]} {state}" for state in State if states[state])


def _sum(marks: Marks, exercises: dict[str, float]) -> str:
    given = [marks.exercises[name] for name in exercises]
    return f"{sum(mark or 0 for mark in given):g}" + (f" {WAITS}" if None in given else "")


def _number(mark: float | None) -> str:
    return "" if mark is None else f"{mark:g}"
