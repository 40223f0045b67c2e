"""One staged and graded course for all tests, because nbgrader takes seconds for a submission."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest

from autograder.authoring.samples import grade_staged, stage
from autograder.course.folder import Course
from autograder.grading.grade import Outcome
from autograder.sandbox.session import available

ASSIGNMENT = "assignment2"
REPOSITORY = Path(__file__).parents[2]


class Graded(NamedTuple):
    """A scratch course whose samples were released and graded."""

    course: Course
    outcome: Outcome
    differences: list[str]


def skip_without_sandbox(why: str) -> NoReturn:
    """Skip a test that needs the sandbox; fail it where `CI` is set."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must run the tests of the sandbox. {why}", pytrace=False)
    pytest.skip(why)


@pytest.fixture(scope="session")
def isolation() -> None:
    """For tests whose submissions are hostile, or whose subject is the sandbox."""
    if why := available():
        skip_without_sandbox(why)


@pytest.fixture(scope="session")
def original() -> Course:
    """The course in the repository; tests only read it."""
    return Course.at(REPOSITORY / "assignments")


@pytest.fixture(scope="session")
def graded(original, tmp_path_factory) -> Graded:
    """All samples, a submission with a renamed notebook and two that cannot be graded; graded."""
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
    """A released course with one submission for each sample, given by its answers.toml."""
    course = original.staged(scratch / "few")
    shutil.rmtree(course.root / "samples")
    for name, answers in samples.items():
        folder = course.root / "samples" / name
        folder.mkdir(parents=True)
        (folder / "answers.toml").write_text(answers)
        (folder / "marks.toml").write_text("total = 0\nothers = 0")
    return stage(course, ASSIGNMENT, scratch / "class")


def handed_in(course: Course, name: str) -> Path:
    """The folder of a student's notebooks."""
    return course.root / "submitted" / name / ASSIGNMENT


@pytest.fixture
def course(original, tmp_path) -> Course:
    """A fresh copy of the course, to change and break."""
    return original.staged(tmp_path / "course")
