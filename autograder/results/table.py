"""Prints the marks of a class as a table, and writes a file with every exercise."""

import csv
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from autograder.course.folder import atomic_write
from autograder.grading.grade import Outcome
from autograder.grading.gradebook import Marks
from autograder.grading.job import State

WAITS = "+ ?"


class ProgressBar:
    """Shows in a terminal how many students are done, the time left, and exercises by state."""

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

    def __enter__(self) -> "ProgressBar":
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
    """Print a line for each student and a column for each notebook, then what needs attention.

    The columns of the notebooks are left out where they do not fit into the console.
    """
    table = _table(outcome, outcome.notebooks)
    unlimited = console.options.update(max_width=10_000)
    fits = console.measure(table, options=unlimited).maximum <= console.width
    if fits:
        sentences = [f"Notebooks: {', '.join(outcome.notebooks)}."]
    else:
        table = _table(outcome, ())
        sentences = ["The columns of the notebooks do not fit here; --details FILE writes them."]
    sentences.append(f"Exercises: {_counts(outcome.states) or 'none'}.")
    if outcome.outside_sandbox:
        sentences.append(f"Student code ran OUTSIDE the sandbox: {outcome.outside_sandbox}")
    else:
        sentences.append("Student code ran inside the sandbox.")
    if outcome.unchanged:
        sentences.append(f"{outcome.unchanged} students are unchanged since they were graded.")
    if any(None in marks.exercises.values() for marks in outcome.marks.values()):
        sentences.append(f"{WAITS} waits for marks by hand: give them in formgrader.")
    sentences += [f"{student}: {remark}" for student, remark in outcome.remarks.items()]
    console.print(table)
    for sentence in sentences:
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    for student, problem in outcome.problems.items():
        console.print("[bold red]Not graded:[/] ", end="")
        console.print(f"{student}. {problem}", markup=False, highlight=False, soft_wrap=True)


def write_details(outcome: Outcome, path: Path) -> None:
    """Write a CSV file with the marks of every exercise; what waits for marks by hand is empty."""
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


def _table(outcome: Outcome, notebooks: Iterable[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("student", no_wrap=True)
    shown = [outcome.notebooks[name] for name in notebooks]
    for heading, exercises in zip(_headings(notebooks), shown, strict=True):
        table.add_column(f"{heading}\n/ {sum(exercises.values()):g}", justify="right", no_wrap=True)
    table.add_column("late", justify="right", no_wrap=True)
    total = sum(outcome.out_of.values())
    table.add_column(f"total\n/ {total:g}", justify="right", no_wrap=True)
    for student, marks in outcome.marks.items():
        late = f"-{marks.penalty:g}" if marks.penalty else ""
        columns = [_sum(marks, exercises) for exercises in shown]
        table.add_row(student, *columns, late, f"{marks.total:g}")
    return table


def _headings(notebooks: Iterable[str]) -> list[str]:
    """The numbers with which the notebooks' names begin; their names if a number is missing."""
    names = list(notebooks)
    numbers = [name.partition("_")[0] for name in names]
    is_numbered = all(map(str.isdecimal, numbers)) and len({*numbers}) == len(names)
    return numbers if is_numbered else names


def _counts(states: Counter[State]) -> str:
    return ", ".join(f"{states[state]} {state}" for state in State if states[state])


def _sum(marks: Marks, exercises: dict[str, float]) -> str:
    given = [marks.exercises[name] for name in exercises]
    return f"{sum(mark or 0 for mark in given):g}" + (f" {WAITS}" if None in given else "")


def _number(mark: float | None) -> str:
    return "" if mark is None else f"{mark:g}"
