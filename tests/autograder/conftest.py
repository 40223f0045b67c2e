"""One staged and graded course for all tests: every hand-in takes nbgrader seconds."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from autograder.authoring.samples import grade_staged, stage
from autograder.course.folder import Course
from autograder.grading.grade import Outcome
from autograder.sandbox.session import available

ASSIGNMENT = "assignment2"
REPOSITORY = Path(__file__).parents[2]


class Graded(NamedTuple):
    """A scratch course after its samples were released and graded."""

    course: Course
    outcome: Outcome
    differences: list[str]


@pytest.fixture(scope="session")
def isolation() -> None:
    """For tests whose hand-ins are hostile, or whose subject is the sandbox."""
    if why := available():
        pytest.skip(why)


@pytest.fixture(scope="session")
def original() -> Course:
    """The course in the repository; tests only read it."""
    return Course.at(REPOSITORY / "assignments")


@pytest.fixture(scope="session")
def graded(original, tmp_path_factory) -> Graded:
    """All samples, one hand-in with another name, and two that cannot be graded; graded."""
    course = stage(original, ASSIGNMENT, tmp_path_factory.mktemp("graded") / "scratch")
    first = course.notebooks(ASSIGNMENT)[0].name
    for name in ("broken", "renamed", "misdated"):
        shutil.copytree(course.submissions(ASSIGNMENT)["untouched"], handed_in(course, name))
    (handed_in(course, "broken") / first).write_text('{"cells": [')
    renamed = handed_in(course, "renamed") / first
    renamed.rename(renamed.with_stem(f"{renamed.stem} (1)"))
    (handed_in(course, "misdated") / "timestamp.txt").write_text("yesterday")
    return Graded(course, *grade_staged(course, ASSIGNMENT))


def small_class(original: Course, scratch: Path, **samples: str) -> Course:
    """A released course in which each sample, by its answers.toml, was handed in."""
    course = original.staged(scratch / "few")
    shutil.rmtree(course.root / "samples")
    for name, answers in samples.items():
        folder = course.root / "samples" / name
        folder.mkdir(parents=True)
        (folder / "answers.toml").write_text(answers)
        (folder / "marks.toml").write_text("total = 0\nothers = 0")
    return stage(course, ASSIGNMENT, scratch / "class")


def handed_in(course: Course, name: str) -> Path:
    """Where a student's notebooks lie."""
    return course.root / "submitted" / name / ASSIGNMENT


@pytest.fixture
def course(original, tmp_path) -> Course:
    """A fresh copy of the course, to change and break."""
    return original.staged(tmp_path / "course")
