"""Compares grading by plain nbgrader with ours, on the same class.

`python -m benchmarks.grading` writes `results/grading.md`: submissions per minute, memory, how the
rate grows with the number of workers, the time to grade an unchanged class again, the cost of the
sandbox for a notebook, the time until the command starts, and the time and memory of the driver for
a class of 1,000. It takes half an hour; `--students 10` is shorter.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import nbformat
import psutil
import torch
from nbformat import NotebookNode
from nbgrader.utils import is_solution

from autograder.authoring.bank import load
from autograder.authoring.samples import stage
from autograder.course.folder import CONFIG, Course
from autograder.grading.gradebook import MarkBook
from autograder.grading.job import Cell, Job
from autograder.grading.run_job import run_job
from autograder.sandbox.limits import Limits

ASSIGNMENT = "assignment2"
STUDENTS = 40
REPEATS = 20
SAMPLE_SECONDS = 1
"""Between two measurements of memory, which take time themselves."""
LARGE = 1000
CELL_SECONDS = 20
"""The limit of a cell, for nbgrader and for us; hostile cells reach it."""
RESULTS = Path(__file__).with_name("results") / "grading.md"
HOSTILE = {
    "loops": "while True: pass",
    "leaves": "import os\nos._exit(0)",
    "cheats": "import sys\nsys.displayhook(5)",
    "hogs": "x = bytearray(3 * 10**9)\nfor i in range(0, len(x), 4096): x[i] = 1",
}


def answers(course: Course, count: int) -> Iterator[tuple[str, str]]:
    """Names and `answers.toml` of submissions: of ten, six are right, three wrong, one hostile.

    All but the hostile ones answer every exercise. Their network is one linear layer, because the
    time that a network trains says nothing about the grader.
    """
    linear = course.root / "samples" / "linear_classifier" / "answers.toml"
    network = tomllib.loads(linear.read_text("utf-8"))["cells"]
    entries = defaultdict(list)
    for entry in load(course, ASSIGNMENT):
        if entry.exercise != "predict":
            entries[entry.says is None].append(entry)
    right, wrong, hostile = cycle(entries[True]), cycle(entries[False]), cycle(HOSTILE.items())
    for number in range(count):
        cells, bank, kind = dict(network), {}, "right"
        if number % 10 == 9:
            kind, cells["bottleneck_answer"] = next(hostile)
        else:
            kind = "wrong" if number % 10 in (2, 5, 8) else "right"
            chosen = next(wrong if kind == "wrong" else right)
            bank[chosen.exercise] = chosen.name
        yield f"student{number:04}_{kind}", _toml(bank, cells)


def _toml(bank: dict[str, str], cells: dict[str, str]) -> str:
    tables = {"bank": bank, "cells": cells}
    lines = ['start = "source"']
    for table, values in tables.items():
        lines.append(f"[{table}]")
        lines += [f"{name} = {_quoted(value)}" for name, value in values.items()]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def released(students: int, scratch: Path) -> Course:
    """A course with the submissions of a class."""
    original = Course.at(Path("assignments")).staged(scratch / "written")
    made = dict(answers(original, students))
    shutil.rmtree(original.root / "samples")
    for name, text in made.items():
        folder = original.root / "samples" / name
        folder.mkdir(parents=True)
        (folder / "answers.toml").write_text(text, "utf-8")
        (folder / "marks.toml").write_text("", "utf-8")
    course = stage(original, ASSIGNMENT, scratch / "class")
    for path in course.root.glob(f"submitted/*/{ASSIGNMENT}/*.ipynb"):
        # A comment makes every submission different, so that none is graded once for two students.
        notebook = nbformat.read(path, nbformat.NO_CONVERT)
        answer = next(cell for cell in notebook.cells if is_solution(cell) and is_code(cell))
        answer.source += f"\n# {path.parts[-3]}"
        nbformat.write(notebook, path)
    return course


def is_code(cell: NotebookNode) -> bool:
    """Whether a cell holds code."""
    return bool(cell.cell_type == "code")


def part(course: Course, names: list[str], root: Path, *, plain: bool = False) -> Course:
    """A copy of the course with the submissions of some students."""
    shutil.copytree(course.root, root, ignore=lambda folder, there: {"submitted"} & {*there})
    for name in names:
        shutil.copytree(course.root / "submitted" / name, root / "submitted" / name)
    config = root / CONFIG
    text = config.read_text("utf-8").replace('_seconds": 300', f'_seconds": {CELL_SECONDS}')
    if plain:
        text = text.replace("    Execute: IsolatedExecute,\n", "").replace(
            "    SaveAutoGrades: SaveMarks,\n", ""
        )
    config.write_text(text, "utf-8")
    return Course.at(root)


def run(command: list[str], cwd: Path) -> tuple[float, int]:
    """The seconds that a command takes, and the bytes that it and its children hold at most."""
    begun = time.perf_counter()
    process = psutil.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    highest, over = 0, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not over.wait(SAMPLE_SECONDS):
            total = 0
            for one in [process, *process.children(recursive=True)]:
                try:
                    total += one.memory_full_info().pss
                except psutil.Error:
                    continue
            highest = max(highest, total)

    watcher = threading.Thread(target=watch)
    watcher.start()
    process.wait()
    seconds = time.perf_counter() - begun
    over.set()
    watcher.join()
    return seconds, highest


def plain(course: Course) -> tuple[float, int]:
    """Grade with nbgrader; seconds and peak memory in bytes, as `run` measures them."""
    nbgrader = str(Path(sys.executable).with_name("nbgrader"))
    return run([nbgrader, "autograde", ASSIGNMENT, "--create"], course.root)


def ours(course: Course, jobs: int) -> tuple[float, int]:
    """Grade with our command and this many workers; seconds and peak memory."""
    command = [sys.executable, "-m", "autograder", "grade", "--course", str(course.root)]
    return run([*command, "--jobs", str(jobs)], Path.cwd())


def large(course: Course, root: Path) -> str:
    """The time and memory of the driver for a class whose submissions repeat a few notebooks."""
    some = sorted(course.submissions(ASSIGNMENT))[:9]  # the tenth is hostile
    copy = part(course, some, root)
    for number in range(LARGE - len(some)):
        model = copy.root / "submitted" / some[number % len(some)]
        shutil.copytree(model, copy.root / "submitted" / f"copy{number:04}")
    command = [sys.executable, "-m", "autograder", "grade", "--course", str(copy.root)]
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    memory, begun = {}, 0.0
    while process.poll() is None:
        time.sleep(0.2)
        done = sum(1 for _ in copy.root.glob(f"autograded/*/{ASSIGNMENT}"))
        if done and not begun:
            begun = time.perf_counter()
        for mark in (LARGE // 10, LARGE // 2, LARGE - 10):
            if done >= mark and mark not in memory:
                memory[mark] = process.memory_info().rss / 2**20
    each = 1000 * (time.perf_counter() - begun) / LARGE
    again = ours(copy, 1)[0]
    held = ", ".join(f"{size:.0f} MiB after {done}" for done, size in memory.items())
    shutil.rmtree(copy.root)
    return (
        f"In a class of {LARGE:,} in which many submissions are equal, so that the workers are "
        f"idle, the driver reads and writes a submission in {each:.0f} ms and holds {held}. "
        f"Grading the unchanged class again takes {again:.0f} s."
    )


def isolation() -> float:
    """Milliseconds by which the sandbox makes an empty notebook slower, in the median."""
    seconds: dict[bool, list[float]] = defaultdict(list)
    for number in range(2 * REPEATS + 2):
        isolated = bool(number % 2)
        job = Job((Cell("1"),), {}, Limits(), secret="benchmark", sandbox=isolated)
        begun = time.perf_counter()
        run_job(job)
        if number >= 2:  # the first of each starts the fork server
            seconds[isolated].append(time.perf_counter() - begun)
    return 1000 * (statistics.median(seconds[True]) - statistics.median(seconds[False]))


def start() -> float:
    """The median of the seconds that the command takes to print its help."""
    command = [sys.executable, "-m", "autograder", "--help"]
    return statistics.median(run(command, Path.cwd())[0] for _ in range(5))


def totals(course: Course, names: list[str]) -> dict[str, float | None]:
    """Marks of honest students, by student; `None` for a student who was not graded."""
    entries = MarkBook(course.db_url, ASSIGNMENT).entries()
    return {
        name: entries[name].marks.total if name in entries else None  # nbgrader gave up before it
        for name in names
        if name.endswith(("_right", "_wrong"))
    }


def main() -> None:
    """Measure, and write the table of results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=STUDENTS)
    students = parser.parse_args().students
    cores = os.cpu_count() or 1
    times: dict[str, list[float]] = defaultdict(list)
    memory: dict[str, int] = defaultdict(int)
    marks = {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        course = released(students, scratch)
        names = sorted(course.submissions(ASSIGNMENT))
        ways = [f"ours, {jobs}" for jobs in sorted({1, cores})]
        # Ours runs before and after nbgrader, so that a machine that slows down favours neither.
        for turn, way in enumerate([*ways, "nbgrader", *ways[::-1]]):
            copy = part(course, names, scratch / f"{turn}", plain=way == "nbgrader")
            if way == "nbgrader":
                seconds, highest = plain(copy)
            else:
                seconds, highest = ours(copy, int(way.split()[-1]))
            marks[way] = totals(copy, names)
            times[way].append(seconds)
            memory[way] = max(memory[way], highest)
            if way == f"ours, {cores}":
                times["again"].append(ours(copy, cores)[0])
            print(f"{way}: {len(names)} submissions in {seconds:.0f} s", flush=True)
            shutil.rmtree(copy.root)
        pairs = {
            name: (theirs, marks[f"ours, {cores}"][name])
            for name, theirs in marks["nbgrader"].items()
        }
        differ = [
            f"{name}: nbgrader {theirs:g}, ours {mark}"
            for name, (theirs, mark) in pairs.items()
            if theirs is not None and theirs != mark
        ]
        lost = sum(theirs is None for theirs, _ in pairs.values())
        text = [
            table(students, cores, times, memory, differ, lost),
            large(course, scratch / "large"),
        ]
    RESULTS.write_text("\n".join(text) + "\n", "utf-8")
    print(RESULTS.read_text("utf-8"))


def table(
    students: int,
    cores: int,
    times: dict[str, list[float]],
    memory: dict[str, int],
    differ: list[str],
    lost: int,
) -> str:
    """The results as Markdown."""
    names = {"nbgrader": "`nbgrader autograde`", "ours, 1": "ours, one worker"}
    names |= {f"ours, {cores}": f"ours, {cores} workers", "again": "ours again, nothing changed"}
    rows = []
    for way, name in names.items():
        seconds = statistics.mean(times[way])
        ratio = statistics.mean(times["nbgrader"]) / seconds
        peak = f"{memory[way] / 2**30:.1f}" if way in memory else ""
        rows.append(f"| {name} | {60 * students / seconds:.1f} | {ratio:.1f} | {peak} |")
    return "\n".join(
        [
            "# Grading",
            "",
            f"`python -m benchmarks.grading --students {students}`: whole submissions of "
            "Assignment 2, five notebooks each, one in ten hostile. Both graders write the "
            "gradebook and the graded notebooks, and the time until the programs have started "
            "counts.",
            "",
            f"{cores} cores, torch {torch.__version__}. Ours ran before and after nbgrader; the "
            "table has the means of its times.",
            "",
            "| grader | submissions per minute | times nbgrader | memory, GiB |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            f"The sandbox makes an empty notebook {isolation():.0f} ms slower than a process "
            f"outside of it (median of {REPEATS}); `python -m autograder --help` takes "
            f"{start():.2f} s.",
            "",
            f"Honest submissions whose marks differ: {len(differ)}. "
            f"Honest submissions that nbgrader left ungraded: {lost}.",
            *(f"- {one}" for one in differ),
            "",
        ]
    )


if __name__ == "__main__":
    main()
