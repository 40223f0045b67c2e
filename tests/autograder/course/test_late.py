from datetime import datetime, timedelta

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from nbgrader.api import Gradebook

from autograder.course.late import SECONDS_A_DAY, LatePolicy
from autograder.errors import CourseError
from autograder.grading.gradebook import MarkBook
from autograder.results.export import student_records

pytestmark = pytest.mark.slow  # real nbgrader runs


def policy(time_zone="UTC", percent_per_day=10, extensions=""):
    return LatePolicy(
        extensions=str(extensions),
        deadline="2026-11-13 18:00",
        time_zone=time_zone,
        percent_per_day=percent_per_day,
        last_day=5,
    )


@pytest.mark.parametrize(
    ("seconds_late", "penalty"),
    [
        (1, 3),
        (SECONDS_A_DAY, 3),
        (SECONDS_A_DAY + 1, 6),
        (5 * SECONDS_A_DAY, 15),
        (5 * SECONDS_A_DAY + 1, 30),
        (100 * SECONDS_A_DAY, 30),
    ],
)
def test_each_started_day_costs_a_tenth_of_the_maximum_and_the_sixth_costs_all(
    seconds_late, penalty
):
    assert policy().penalty(30, seconds_late) == pytest.approx(penalty)


def test_the_penalty_is_never_more_than_the_maximum():
    assert policy(percent_per_day=40).penalty(30, 4 * SECONDS_A_DAY) == 30


def test_the_deadline_is_in_its_time_zone():
    assert policy().deadline_in_utc == datetime(2026, 11, 13, 18)
    assert policy(time_zone="Asia/Hong_Kong").deadline_in_utc == datetime(2026, 11, 13, 10)


def test_students_are_told_deadline_time_zone_and_policy():
    assert policy().deadline_in_words == "13 November 2026, 18:00 (UTC)"
    assert "10 % of the maximum" in policy().in_words
    assert "After 5 days" in policy().in_words


def test_the_config_sets_the_policy_of_the_course(original):
    configured = original.late_policy()
    assert configured.deadline_in_utc == datetime(2026, 11, 13, 18)
    assert (configured.percent_per_day, configured.last_day) == (10, 5)


def test_a_table_extends_the_deadline_for_some_students(tmp_path):
    table = tmp_path / "extensions.csv"
    assert policy(extensions=table).extended == {}
    table.write_text(
        'student,until\nada, 2026-11-20 18:00\n\n"o, bob",2026-11-13 18:30\n', "utf-8-sig"
    )
    more = policy(extensions=table, time_zone="Asia/Hong_Kong").extended
    assert more == {"ada": timedelta(days=7), "o, bob": timedelta(minutes=30)}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("ada", r"line 3 \(1 entries in place of a student and a time\): write one line"),
        ("ada,", r"line 3 \(1 entries"),
        ("ada,2026-11-20,18:00", r"line 3 \(3 entries"),
        ("ada,tomorrow", r"line 3 \(Invalid isoformat"),
        ("ada,2026-11-01 18:00", r"line 3 \(2026-11-01 18:00 is not after the deadline"),
        ("bob,2026-11-21 18:00", r"line 3 \(bob is listed twice"),
        ("\udcff", "cannot be read"),
    ],
)
def test_a_line_that_is_not_an_extension_is_named(tmp_path, line, sentence):
    table = tmp_path / "extensions.csv"
    text = f"student,until\nbob,2026-11-20 18:00\n{line}\n"
    table.write_text(text, "utf-8", errors="surrogateescape")
    with pytest.raises(CourseError, match=sentence) as caught:
        _ = policy(extensions=table).extended
    assert str(table) in str(caught.value)


def test_the_course_reads_its_table(course):
    (course.root / "extensions.csv").write_text("student,until\nada,2026-11-20 18:00\n")
    assert course.late_policy().extended == {"ada": timedelta(days=7)}
    (course.root / "extensions.csv").write_text("ada\n")
    with pytest.raises(CourseError, match=r"extensions.csv, line 1"):
        course.late_policy()


def test_a_student_with_an_extension_is_not_late(course):
    (course.root / "extensions.csv").write_text("student,until\nada,2026-11-20 18:00\n")
    with Gradebook(course.db_url) as gradebook:
        gradebook.add_assignment("assignment2")
        gradebook.add_notebook("one", "assignment2")
        gradebook.add_grade_cell("f", "one", "assignment2", max_score=10, cell_type="code")
    book = MarkBook(course.db_url, "assignment2")
    for student in ("ada", "bob"):
        book.enter(student, "2026-11-15 12:00:00 UTC", {"one": graded()}, course.late_policy())
    ada, bob = student_records(course, "assignment2")
    assert (ada.total, ada.extended) == (10, "2026-11-20 18:00 UTC")
    assert (bob.total, bob.extended) == (8, "")
    (course.root / "extensions.csv").unlink()
    book.enter("ada", "", {"one": graded()}, course.late_policy())
    assert student_records(course, "assignment2")[0].total == 8


def graded():
    cell = new_code_cell("10.0", outputs=[new_output("execute_result", {"text/plain": "10.0"})])
    cell.metadata["nbgrader"] = {"grade_id": "f", "grade": True, "solution": False, "points": 10}
    return new_notebook(cells=[cell])
