"""All marks of a student enter the gradebook together, or none of them."""

import sqlite3

import pytest
from nbgrader.api import Gradebook

from autograder.grading.gradebook import BACKUPS, MarkBook, back_up
from tests.autograder.conftest import ASSIGNMENT


class KilledError(Exception):
    pass


class KillsInTheMiddle(dict):
    """Graded notebooks of which the second kills the writer."""

    def get(self, name, default=None):
        if self.setdefault("asked", 0):
            raise KilledError
        self["asked"] += 1
        return default


@pytest.fixture
def book(graded):
    return MarkBook(graded.course.db_url, ASSIGNMENT)


def test_a_writer_that_is_stopped_leaves_nothing_of_a_student(graded, book):
    with pytest.raises(KilledError):
        book.enter("late_starter", "", KillsInTheMiddle(), graded.course.late_policy())
    assert "late_starter" not in book.entries()
    with Gradebook(book.db_url) as gradebook:
        assert "late_starter" not in {student.id for student in gradebook.students}


def test_the_entry_of_one_student_is_that_of_the_class(graded, book):
    entries = book.entries()
    assert len(entries) > 5
    for student, entry in entries.items():
        assert book.entries(student) == {student: entry}


def test_points_are_listed_in_the_order_of_the_notebooks(book):
    points = book.points()
    assert list(points) == sorted(points)
    assert sum(sum(of_book.values()) for of_book in points.values()) == 100
    assert next(iter(points["3_residual_and_se"])) == "plain_block"


def test_the_newest_copies_are_kept(tmp_path):
    sqlite3.connect(tmp_path / "gradebook.db").close()
    (tmp_path / "gradebook.db").touch()
    for _ in range(BACKUPS + 3):
        last = back_up(f"sqlite:///{tmp_path}/gradebook.db", tmp_path / "backups")
    kept = sorted((tmp_path / "backups").iterdir())
    assert len(kept) == BACKUPS
    assert kept[-1] == last
