import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from rich.console import Console

from autograder.course import read_notebook
from autograder.errors import CourseError
from autograder.grade import Marks, _marks, grade, print_outcome
from tests.autograder.conftest import ASSIGNMENT, REPOSITORY

pytestmark = pytest.mark.slow  # real nbgrader runs

SAMPLES = sorted(path.parent.name for path in REPOSITORY.glob("assignments/samples/*/marks.toml"))


def test_there_are_at_least_five_samples():
    assert len(SAMPLES) >= 5


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_gets_exactly_the_marks_written_beside_it(name, graded):
    written = tomllib.loads((graded.course.samples()[name] / "marks.toml").read_text("utf-8"))
    marks = graded.outcome.marks[name]
    exercises = {key: "by hand" if mark is None else mark for key, mark in marks.exercises.items()}
    assert exercises == written["exercises"]
    assert marks.total == written["total"]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_the_released_notebook_with_answers(name, graded):
    released, sample = (
        {
            cell["id"]: cell["source"]
            for cell in read_notebook(folder / "residual_learning.ipynb")["cells"]
            if not cell["metadata"].get("nbgrader", {}).get("solution")
        }
        for folder in (graded.course.released(ASSIGNMENT), graded.course.samples()[name])
    )
    assert sample == released


def test_no_difference_is_reported_where_there_is_none(graded):
    assert graded.differences == []


def test_the_points_are_those_of_the_notebook(graded):
    points = {"identity_shortcut": 8, "projection_shortcut": 8, "bottleneck": 10, "degradation": 4}
    assert graded.outcome.out_of == points
    assert list(graded.outcome.out_of) == list(points)


def test_a_broken_hand_in_does_not_stop_the_class(graded):
    assert set(graded.outcome.marks) == set(SAMPLES)
    assert set(graded.outcome.problems) == {"broken", "renamed", "misdated"}


def test_a_hand_in_that_is_not_graded_is_told_what_to_do(graded):
    assert "cannot be read as a notebook" in graded.outcome.problems["broken"]
    assert "upload it again" in graded.outcome.problems["broken"]
    assert "residual_learning (1).ipynb" in graded.outcome.problems["renamed"]
    assert "give the notebook its name back" in graded.outcome.problems["renamed"]
    assert "holds no time" in graded.outcome.problems["misdated"]


def test_the_table_names_students_marks_and_problems(graded, capsys):
    print_outcome(graded.outcome, Console(width=120))
    table = capsys.readouterr().out
    assert "written_differently" in table
    assert "by hand" in table
    assert "Not graded: broken." in table


def test_a_mistake_is_named_in_the_graded_notebook(graded):
    notebook = graded.course.root / "autograded" / "relu_before_addition" / ASSIGNMENT
    assert "ReLU comes before the addition" in next(notebook.glob("*.ipynb")).read_text("utf-8")


def test_nbgrader_itself_run_in_the_folder_takes_the_late_penalty(graded):
    course = graded.course
    handed_in = course.root / "submitted" / "untouched" / ASSIGNMENT
    (handed_in / "timestamp.txt").write_text("2026-11-14 18:00:01 UTC")
    nbgrader = Path(sys.executable).with_name("nbgrader")
    command = [nbgrader, "autograde", ASSIGNMENT, "--student", "untouched", "--force"]
    subprocess.run(command, cwd=course.root, check=True, capture_output=True)
    # Two days have begun. Nothing is earned yet, but marks by hand may follow: the penalty stays.
    assert _marks(course.api(), ASSIGNMENT, "untouched").penalty == pytest.approx(6)


def test_a_total_does_not_fall_below_zero():
    assert Marks({"bottleneck": 10.0, "degradation": None}, penalty=3.0).total == 7
    assert Marks({"bottleneck": 2.0}, penalty=3.0).total == 0


def test_grading_nothing_says_where_hand_ins_go(course):
    with pytest.raises(CourseError, match=f"submitted/STUDENT/{ASSIGNMENT}"):
        grade(course, ASSIGNMENT)


def test_grading_an_unknown_assignment_names_the_known_ones(course):
    with pytest.raises(CourseError, match="There is: assignment2"):
        grade(course, "assignment3")
