"""Reports on a class: marks, exercises, misconceptions and problems, as a page and as CSV.

Everything that students wrote is escaped, so that no script runs in the instructor's browser.
"""

import statistics
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from autograder.course.folder import Course, atomic_write, read_notebook
from autograder.errors import CourseError
from autograder.grading.job import State
from autograder.grading.records import Records
from autograder.results.export import StudentRecord, defused, student_records
from autograder.results.similar import similar

# `Verdict.report` prints this before each sentence for the student.
SENTENCE = "- "
# Discrimination compares this share of the class at the top and at the bottom (Kelley, 1939).
END = 0.27
SLOWEST = 20
TEMPLATE = Path(__file__).with_name("report.html.jinja")


@dataclass(frozen=True)
class ItemStatistics:
    """How the class did in one exercise, by the measures of item analysis.

    Args:
        exercise: its name.
        out_of: its maximum, in marks.
        mean: the mean of the marks.
        difficulty: the mean as a share of the maximum; 1 is easy.
        discrimination: the share of the maximum by which the best 27 % of the class are ahead of
            the weakest 27 %; `None` if the class is too small.
    """

    exercise: str
    out_of: float
    mean: float
    difficulty: float
    discrimination: float | None


def report(course: Course, assignment: str, out: Path) -> Path:
    """Write the report of a class.

    Args:
        course: the course folder.
        assignment: the name of the assignment.
        out: the folder for the page `report.html` and for each of its tables as CSV.

    Returns:
        The page.

    Raises:
        CourseError: nothing is graded yet.
    """
    found = [record for record in student_records(course, assignment) if record.exercises]
    if not found:
        raise CourseError(f"Nothing of {assignment} is graded in {course.root}: grade it first.")
    by_item = item_statistics(found)
    tables = {
        "class": _class(found),
        "exercises": pd.DataFrame([vars(item) for item in by_item]).round(2),
        "misconceptions": misconceptions(course, assignment, len(found)),
        **problem_tables(Records(course.records, assignment)),
        "similar": similar(course, assignment),
    }
    for name, table in tables.items():
        with atomic_write(out / f"{name}.csv") as temporary:
            table.map(defused).to_csv(temporary, index=False)
    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(
        TEMPLATE.read_text("utf-8")
    )
    text = page.render(
        assignment=assignment,
        students=len(found),
        waiting=sum(record.waits for record in found),
        median=statistics.median(record.total for record in found),
        out_of=found[0].out_of,
        histogram=_histogram(found),
        by_exercise=_by_exercise(by_item),
        in_words=_in_words(by_item),
        tables={name: _rows(table) for name, table in tables.items()},
    )
    with atomic_write(out / "report.html") as temporary:
        temporary.write_text(text, "utf-8")
    return out / "report.html"


def item_statistics(found: Sequence[StudentRecord]) -> list[ItemStatistics]:
    """The statistics of every exercise, in the order of the assignment."""
    ranked = sorted(found, key=lambda record: record.raw)
    end = round(END * len(ranked))
    exercises = {name: out_of for record in found for name, (_, out_of) in record.exercises.items()}
    made = []
    for name, out_of in exercises.items():
        marks = [record.exercises.get(name, (0.0, out_of))[0] for record in ranked]
        mean = statistics.fmean(marks)
        gap = statistics.fmean(marks[-end:]) - statistics.fmean(marks[:end]) if end else None
        difficulty = mean / out_of if out_of else 1.0
        discrimination = gap / out_of if gap is not None and out_of else None
        made.append(ItemStatistics(name, out_of, mean, difficulty, discrimination))
    return made


def misconceptions(course: Course, assignment: str, students: int) -> pd.DataFrame:
    """The sentences of hidden tests with the number of students, the most frequent first."""
    told = Counter[tuple[str, str]]()
    for folder in sorted(course.root.glob(f"autograded/*/{assignment}")):
        told.update(
            {found for path in sorted(folder.glob("*.ipynb")) for found in _told(path)},
        )
    rows = [(exercise, count, sentence) for (exercise, sentence), count in told.most_common()]
    return pd.DataFrame(rows, columns=["exercise", f"of {students}", "sentence"])


def problem_tables(records: Records) -> dict[str, pd.DataFrame]:
    """Tables of exercises that were stopped, of refused students, and of the slowest notebooks."""
    last = records.last_graded()
    stopped = [
        (student, name, result["state"], result["sentence"])
        for (student, _), line in sorted(last.items())
        for name, result in line["exercises"].items()
        if result["state"] not in (State.GRADED, State.MISSING)
    ]
    slowest = sorted(last.values(), key=lambda line: -line["seconds"])[:SLOWEST]
    times = [(line["student"], line["notebook"], round(line["seconds"], 1)) for line in slowest]
    return {
        "stopped": pd.DataFrame(stopped, columns=["student", "exercise", "state", "reason"]),
        "refused": pd.DataFrame(
            sorted(records.last_refused().items()), columns=["student", "reason"]
        ),
        "slowest": pd.DataFrame(times, columns=["student", "notebook", "seconds"]),
    }


def _told(path: Path) -> Iterator[tuple[str, str]]:
    """Exercise and sentence, for each sentence that hidden tests printed in a graded notebook."""
    for cell in read_notebook(path)["cells"]:
        about = cell["metadata"].get("nbgrader", {})
        if cell["cell_type"] == "code" and about.get("grade"):
            for line in _printed(cell["outputs"]).splitlines():
                if line.startswith(SENTENCE):
                    yield about["grade_id"], line.removeprefix(SENTENCE)


def _printed(outputs: list[dict[str, Any]]) -> str:
    texts = [output.get("text", "") for output in outputs if output.get("name") == "stdout"]
    return "".join(text if isinstance(text, str) else "".join(text) for text in texts)


def _class(found: Sequence[StudentRecord]) -> pd.DataFrame:
    rows = [
        {
            "student": record.student,
            "total": record.total,
            "late": record.penalty,
            "extended until": record.extended,
            "waits for a person": record.waits,
            **{name: marks for name, (marks, _) in record.exercises.items()},
        }
        for record in sorted(found, key=lambda record: -record.total)
    ]
    return pd.DataFrame(rows)


def _histogram(found: Sequence[StudentRecord]) -> str:
    """A histogram of the totals, as a PNG in base64."""
    figure = Figure(figsize=(6, 2.5), layout="constrained")
    axes = figure.subplots()
    axes.hist(
        [record.total for record in found], bins=20, range=(0, found[0].out_of), color="#0072B2"
    )
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("total, marks")
    axes.set_ylabel("students")
    return _png(figure)


def _by_exercise(made: Sequence[ItemStatistics]) -> str:
    """A chart of the difficulty and discrimination of each exercise, as a PNG in base64."""
    figure = Figure(figsize=(7, 0.8 + 0.24 * len(made)), layout="constrained")
    axes = figure.subplots()
    rows = range(len(made))
    axes.barh(
        rows, [item.difficulty for item in made], color="#0072B2", label="mean share of the marks"
    )
    told = [
        (row, item.discrimination)
        for row, item in enumerate(made)
        if item.discrimination is not None
    ]
    if told:
        axes.plot(
            *reversed([*zip(*told, strict=True)]), "D", color="#D55E00", markeredgecolor="white",
            label="discrimination",
        )  # fmt: skip
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(rows, [item.exercise for item in made])
    axes.set_ylim(len(made) - 0.5, -0.5)
    axes.set_xlim(min([0, *(value - 0.03 for _, value in told if value < 0)]), 1.02)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    return _png(figure)


def _in_words(made: Sequence[ItemStatistics]) -> str:
    """The text alternative of the chart of the exercises."""
    hardest = min(made, key=lambda item: item.difficulty)
    easiest = max(made, key=lambda item: item.difficulty)
    return (
        f"Bars: mean share of the marks by exercise, from {hardest.difficulty:.0%} in "
        f"{hardest.exercise} to {easiest.difficulty:.0%} in {easiest.exercise}; diamonds: how "
        "well each separates strong from weak students. The table of the exercises below has every "
        "value."
    )


def _png(figure: Figure) -> str:
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=150)
    return b64encode(picture.getvalue()).decode()


def _rows(table: pd.DataFrame) -> dict[str, list[Any]]:
    """A table as plain lists, whose texts the template escapes."""
    return {"head": list(table.columns), "body": table.fillna("").to_numpy().tolist()}
