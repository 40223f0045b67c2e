import csv
import json

import pytest
from nbgrader.api import Gradebook

from autograder.errors import CourseError
from autograder.results.export import FORMATS, export, student_records
from tests.autograder.conftest import ASSIGNMENT

pytestmark = pytest.mark.xdist_group("export")


@pytest.fixture(scope="module")
def class_of_three(original, tmp_path_factory):
    """Ada: 7 of 8 marks and 2 off for being late; Bob: nothing handed in; Eve: a formula."""
    course = original.staged(tmp_path_factory.mktemp("class") / "course")
    with Gradebook(course.db_url) as gradebook:
        gradebook.add_assignment(ASSIGNMENT)
        gradebook.add_notebook("one", ASSIGNMENT)
        for name, points in (("basic_block", 5), ("essay", 3)):
            gradebook.add_grade_cell(name, "one", ASSIGNMENT, max_score=points, cell_type="code")
        gradebook.add_student("ada", first_name="Ada", last_name="Lovelace", email="ada@x.org")
        gradebook.add_student("bob")
        gradebook.add_student("eve", first_name='=HYPERLINK("http://x")', last_name="A, B")
        for name, marks in (("ada", (5, 2)), ("eve", (1, None))):
            submission = gradebook.add_submission(ASSIGNMENT, name)
            for cell, mark in zip(("basic_block", "essay"), marks, strict=True):
                grade = gradebook.find_grade(cell, "one", ASSIGNMENT, name)
                grade.auto_score = mark
                grade.needs_manual_grade = mark is None
            if name == "ada":
                submission.notebooks[0].late_submission_penalty = 2
        gradebook.db.commit()
    return course


def lines(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_record_has_marks_penalty_and_total(class_of_three):
    ada, bob, eve = student_records(class_of_three, ASSIGNMENT)
    assert (ada.raw, ada.penalty, ada.total, ada.out_of) == (7, 2, 5, 8)
    assert (bob.exercises, bob.total) == ({}, 0)
    assert eve.waits
    assert not ada.waits


def test_nbgraders_csv_has_a_column_for_each_exercise(class_of_three, tmp_path):
    assert export(class_of_three, ASSIGNMENT, "nbgrader", tmp_path / "marks.csv") == 1
    ada, bob, _ = lines(tmp_path / "marks.csv")
    assert (ada["score"], ada["raw_score"], ada["basic_block"]) == ("5.0", "7.0", "5.0")
    assert (bob["score"], bob["basic_block"]) == ("0.0", "")


def test_canvas_gets_points_possible_and_quoted_names(class_of_three, tmp_path):
    export(class_of_three, ASSIGNMENT, "canvas", tmp_path / "marks.csv")
    possible, ada, bob, eve = lines(tmp_path / "marks.csv")
    assert possible["Student"].strip() == "Points Possible"
    assert possible[ASSIGNMENT] == "8.0"
    assert (ada["Student"], ada[ASSIGNMENT]) == ("Lovelace, Ada", "5.0")
    assert bob["Student"] == "bob"
    assert eve["Student"].startswith("A, B, =HYPERLINK")


def test_moodle_finds_students_by_number_or_address(class_of_three, tmp_path):
    export(class_of_three, ASSIGNMENT, "moodle", tmp_path / "marks.csv")
    ada = lines(tmp_path / "marks.csv")[0]
    assert ada == {"ID number": "ada", "Email address": "ada@x.org", ASSIGNMENT: "5.0"}


def test_gradescope_gets_a_file_for_each_student(class_of_three, tmp_path):
    export(class_of_three, ASSIGNMENT, "gradescope", tmp_path / "marks")
    ada = json.loads((tmp_path / "marks" / "ada.json").read_text("utf-8"))
    assert ada["score"] == 5
    assert {"name": "essay", "score": 2, "max_score": 3} in ada["tests"]
    assert {path.stem for path in (tmp_path / "marks").iterdir()} == {"ada", "bob", "eve"}


def test_a_formula_in_a_name_is_defused(class_of_three, tmp_path):
    export(class_of_three, ASSIGNMENT, "nbgrader", tmp_path / "marks.csv")
    eve = lines(tmp_path / "marks.csv")[2]
    assert eve["first_name"] == '\'=HYPERLINK("http://x")'


def test_an_unknown_format_names_the_known_ones(class_of_three, tmp_path):
    with pytest.raises(CourseError, match=", ".join(FORMATS)):
        export(class_of_three, ASSIGNMENT, "blackboard", tmp_path / "marks.csv")


def test_an_assignment_that_was_never_graded_is_refused(course, tmp_path):
    with pytest.raises(CourseError, match="grade it first"):
        export(course, ASSIGNMENT, "nbgrader", tmp_path / "marks.csv")
