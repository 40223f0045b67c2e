import csv
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from autograder.authoring.samples import grade_staged
from autograder.checks import EXERCISES
from autograder.errors import CourseError
from autograder.grading.grade import Outcome, grade
from autograder.grading.gradebook import MarkBook, Marks
from autograder.results.table import print_outcome, write_details
from autograder.sandbox.box import SandboxError
from autograder.sandbox.session import available
from tests.autograder.conftest import ASSIGNMENT, REPOSITORY, handed_in

# Real nbgrader runs. One worker grades the samples for all of these tests.
pytestmark = pytest.mark.slow

SAMPLES = sorted(path.parent.name for path in REPOSITORY.glob("assignments/samples/*/marks.toml"))


def test_there_are_at_least_six_samples():
    assert len(SAMPLES) >= 6


def test_every_sample_gets_exactly_the_marks_of_its_marks_toml(graded):
    assert graded.differences == []
    assert set(graded.outcome.marks) == {*SAMPLES, "renamed"}


def test_all_right_gets_everything_and_untouched_nothing(graded):
    everything = sum(graded.outcome.out_of.values())
    assert graded.outcome.marks["all_right"].total == everything
    assert graded.outcome.marks["untouched"].total == 0


def test_the_points_in_the_notebooks_are_those_of_the_exercises(graded):
    out_of = graded.outcome.out_of
    tested = {name: points for name, points in out_of.items() if name in EXERCISES}
    assert tested
    assert tested == {name: EXERCISES[name].points for name in tested}


def test_broken_submissions_do_not_stop_the_class(graded):
    assert set(graded.outcome.problems) == {"broken", "misdated"}


def test_a_submission_that_cannot_be_graded_gets_a_sentence_with_advice(graded):
    problems = graded.outcome.problems
    assert "cannot be read as a notebook" in problems["broken"]
    assert "upload it again" in problems["broken"]
    assert "does not hold a time" in problems["misdated"]


def test_a_notebook_that_is_not_handed_in_is_named_and_earns_nothing(graded):
    assert "5_assemble_and_train.ipynb" in graded.outcome.remarks["one_notebook"]
    assert graded.outcome.marks["one_notebook"].exercises["predict"] == 0
    assert set(graded.outcome.remarks) == {"one_notebook", "renamed"}


def test_a_renamed_notebook_is_graded_and_named(graded):
    remark = graded.outcome.remarks["renamed"]
    assert "activations_and_arithmetic (1).ipynb was read as" in remark


def test_the_table_names_students_notebooks_marks_and_problems(graded, capsys):
    print_outcome(graded.outcome, Console(width=80))
    printed = capsys.readouterr().out
    assert "written_differently" in printed
    assert "assemble" in printed
    assert "waits for marks by hand" in printed
    assert "Not graded: broken." in printed
    table, _ = printed.split("Notebooks: ")
    assert max(map(len, table.splitlines())) <= 80
    assert all(f"{sum(points.values()):g}" in table for points in graded.outcome.notebooks.values())


def test_a_narrow_table_has_no_columns_of_notebooks(graded, capsys):
    print_outcome(graded.outcome, Console(width=60))
    printed = capsys.readouterr().out
    table, _ = printed.split("The columns of the notebooks do not fit here")
    totals = {student: f"{marks.total:g}" for student, marks in graded.outcome.marks.items()}
    rows = [line.split() for line in table.splitlines()]
    assert {row[0]: row[-1] for row in rows if row and row[0] in totals} == totals
    assert max(map(len, table.splitlines())) <= 60


def test_the_summary_says_whether_the_samples_ran_inside_the_sandbox(graded, capsys):
    print_outcome(graded.outcome, Console(width=80))
    printed = capsys.readouterr().out
    reason = available()
    assert ("Student code ran inside the sandbox." in printed) == (not reason)
    assert ("Student code ran OUTSIDE the sandbox" in printed) == bool(reason)


def test_samples_run_outside_the_sandbox_where_none_starts_and_the_summary_says_why(
    graded, monkeypatch, capsys
):
    """Nothing is run here: what counts is what is asked for, and what is printed."""
    asked = []

    def grade_without_sandbox(course, assignment, *, sandbox=True):
        asked.append(sandbox)
        if sandbox:
            raise SandboxError("No sandbox here.")
        return Outcome(graded.outcome.notebooks)

    monkeypatch.setattr("autograder.authoring.samples.grade", grade_without_sandbox)
    outcome, _ = grade_staged(graded.course, ASSIGNMENT)
    print_outcome(outcome, Console(width=80))
    assert asked == [True, False]
    assert "ran OUTSIDE the sandbox: No sandbox here. The samples are" in capsys.readouterr().out


def test_the_details_have_a_column_for_every_exercise(graded, tmp_path):
    write_details(graded.outcome, tmp_path / "marks.csv")
    with (tmp_path / "marks.csv").open(encoding="utf-8", newline="") as file:
        _, names, *rows = csv.reader(file)
    rows = {row[0]: dict(zip(names, row, strict=True)) for row in rows}
    assert list(rows) == ["out of", *graded.outcome.marks]
    assert names == ["student", *graded.outcome.out_of, "late", "total"]
    assert rows["untouched"]["predict"] == "0"
    assert rows["written_differently"]["own_network"] == ""
    assert rows["written_differently"]["predict"] == "10"


def test_a_mistake_is_named_in_the_graded_notebook(graded):
    notebooks = graded.course.root / "autograded" / "slips" / ASSIGNMENT
    assert "comes before the addition" in "".join(
        path.read_text("utf-8") for path in notebooks.glob("*.ipynb")
    )


def test_nbgrader_itself_run_in_the_folder_takes_the_late_penalty(graded, isolation):
    course = graded.course
    (handed_in(course, "untouched") / "timestamp.txt").write_text("2026-11-14 18:00:01 UTC")
    nbgrader = Path(sys.executable).with_name("nbgrader")
    command = [nbgrader, "autograde", ASSIGNMENT, "--student", "untouched", "--force"]
    subprocess.run(command, cwd=course.root, check=True, capture_output=True)
    # Two days have begun. Nothing is earned yet, but marks by hand may follow: the penalty stays.
    fifth = sum(graded.outcome.out_of.values()) / 5
    marks = MarkBook(course.db_url, ASSIGNMENT).entries("untouched")["untouched"].marks
    assert marks.penalty == pytest.approx(fifth)


def test_a_total_does_not_fall_below_zero():
    assert Marks({"bottleneck": 10.0, "degradation": None}, penalty=3.0).total == 7
    assert Marks({"bottleneck": 2.0}, penalty=3.0).total == 0


def test_grading_nothing_says_where_submissions_go(course):
    with pytest.raises(CourseError, match=f"submitted/STUDENT/{ASSIGNMENT}"):
        grade(course, ASSIGNMENT)


def test_grading_an_unknown_assignment_names_the_known_ones(course):
    with pytest.raises(CourseError, match=r"name one that exists \(assignment2\)"):
        grade(course, "assignment3")
