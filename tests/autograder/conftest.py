"""One staged and graded course for all tests: every hand-in takes nbgrader seconds."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from autograder.course import Course
from autograder.grade import Outcome, grade_samples

ASSIGNMENT = "assignment2"
REPOSITORY = Path(__file__).parents[2]


class Graded(NamedTuple):
    """A scratch course after its samples were released and graded."""

    course: Course
    outcome: Outcome
    differences: list[str]


@pytest.fixture(scope="session")
def original() -> Course:
    """The course in the repository; tests only read it."""
    return Course.at(REPOSITORY / "assignments")


@pytest.fixture(scope="session")
def graded(original, tmp_path_factory) -> Graded:
    """All samples, and three hand-ins that cannot be graded, submitted and graded."""
    folder = tmp_path_factory.mktemp("graded")
    course = original.staged(folder / "written")
    broken = course.root / "samples" / "broken"
    broken.mkdir()
    (broken / "residual_learning.ipynb").write_text('{"cells": [')
    renamed = course.root / "samples" / "renamed"
    shutil.copytree(course.root / "samples" / "all_right", renamed)
    (renamed / "residual_learning.ipynb").rename(renamed / "residual_learning (1).ipynb")
    shutil.copy(renamed / "marks.toml", broken)
    misdated = course.root / "samples" / "misdated"
    shutil.copytree(course.root / "samples" / "all_right", misdated)
    (misdated / "timestamp.txt").write_text("yesterday")
    outcome, differences = grade_samples(course, ASSIGNMENT, folder / "scratch")
    return Graded(Course.at(folder / "scratch"), outcome, differences)


@pytest.fixture
def course(original, tmp_path) -> Course:
    """A fresh copy of the course, to change and break."""
    return original.staged(tmp_path / "course")
