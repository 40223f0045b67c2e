import csv

import pytest
from nbformat import write
from nbformat.v4 import new_code_cell, new_notebook, new_output

from autograder.errors import CourseError
from autograder.grading.job import ExerciseResult, Job, NotebookResult, State
from autograder.grading.records import Records
from autograder.results.export import StudentRecord
from autograder.results.report import item_statistics, misconceptions, problem_tables, report
from autograder.sandbox.limits import Limits
from tests.autograder.conftest import ASSIGNMENT


def record(student, **marks):
    exercises = {name: (mark, 4.0) for name, mark in marks.items()}
    return StudentRecord(ASSIGNMENT, student, "", "", "", "", exercises, 0.0, 8.0, False)


@pytest.fixture
def class_of_eight():
    """All get `easy` right, only the better half `hard`, and only the weaker half some of `odd`."""
    return [
        record(f"student{number}", easy=4.0, hard=4.0 * (number > 3), odd=1.0 * (number <= 3))
        for number in range(8)
    ]


def test_difficulty_is_the_mean_share_of_the_marks(class_of_eight):
    easy, hard, odd = item_statistics(class_of_eight)
    assert (easy.difficulty, hard.difficulty, odd.difficulty) == (1, 0.5, 0.125)


def test_discrimination_compares_the_best_with_the_weakest(class_of_eight):
    easy, hard, odd = item_statistics(class_of_eight)
    assert (easy.discrimination, hard.discrimination, odd.discrimination) == (0, 1, -0.25)


def test_a_single_student_gives_no_discrimination():
    assert item_statistics([record("ada", easy=4.0)])[0].discrimination is None


def graded_notebook(folder, sentence, copies=1):
    cell = new_code_cell("check", outputs=[new_output("stream", name="stdout")] * copies)
    for output in cell.outputs:
        output.text = f"values      0 of 2\n- {sentence}\n"
    cell.metadata["nbgrader"] = {"grade": True, "grade_id": "basic_block"}
    folder.mkdir(parents=True)
    write(new_notebook(cells=[cell]), folder / "3.ipynb")


def test_misconceptions_are_counted_by_student_the_most_frequent_first(course):
    for student, sentence in (("ada", "No ReLU."), ("bob", "No norm."), ("eve", "No norm.")):
        graded_notebook(course.root / "autograded" / student / ASSIGNMENT, sentence, copies=2)
    table = misconceptions(course, ASSIGNMENT, 3)
    assert table.to_numpy().tolist() == [
        ["basic_block", 2, "No norm."],
        ["basic_block", 1, "No ReLU."],
    ]


def test_the_page_and_its_tables_are_written_and_scripts_are_escaped(course, monkeypatch, tmp_path):
    found = [record("<script>alert(1)</script>", easy=2.0), record("bob", easy=4.0)]
    monkeypatch.setattr("autograder.results.report.student_records", lambda *_: found)
    graded_notebook(course.root / "autograded" / "bob" / ASSIGNMENT, "<b>told</b>")
    page = report(course, ASSIGNMENT, tmp_path).read_text("utf-8")
    assert "<script>" not in page
    assert "&lt;b&gt;told" in page
    assert "median is 3 of 8" in page
    assert "from 75% in easy to 75% in easy" in page
    assert page.count("data:image/png;base64,iVBOR") == page.count("alt=") == 2
    with (tmp_path / "class.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["student"] == "bob"
    assert {path.name for path in tmp_path.glob("*.csv")} == {
        "class.csv",
        "exercises.csv",
        "misconceptions.csv",
        "stopped.csv",
        "refused.csv",
        "slowest.csv",
        "similar.csv",
    }


def test_stopped_exercises_refused_students_and_slow_notebooks_are_listed(tmp_path):
    kept = Records(tmp_path, ASSIGNMENT)
    job = Job((), {}, Limits(), "")
    slow = ExerciseResult(State.OUT_OF_TIME, 0.0, "It took more than 300 seconds.", 1)
    fine = ExerciseResult(State.GRADED, 2.0, "", 1)
    kept.log_graded(
        "ada", "3", "key", job, NotebookResult([], {"basic_block": slow, "bottleneck": fine}, 301.0)
    )
    kept.log_graded("bob", "3", "key", job, NotebookResult([], {"basic_block": fine}, 2.0))
    kept.log_refused("eve", "3.ipynb is empty.")
    tables = {name: table.to_numpy().tolist() for name, table in problem_tables(kept).items()}
    assert tables == {
        "stopped": [["ada", "basic_block", "out of time", "It took more than 300 seconds."]],
        "refused": [["eve", "3.ipynb is empty."]],
        "slowest": [["ada", "3", 301.0], ["bob", "3", 2.0]],
    }


def test_a_class_without_grades_is_refused(course, monkeypatch, tmp_path):
    monkeypatch.setattr("autograder.results.report.student_records", lambda *_: [])
    with pytest.raises(CourseError, match="grade it first"):
        report(course, ASSIGNMENT, tmp_path)
