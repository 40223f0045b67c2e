import pytest

from autograder.course.folder import Course, atomic_write, read_notebook
from autograder.errors import CourseError


def test_a_staged_copy_has_no_submissions_and_no_gradebook(course, tmp_path):
    (course.root / "gradebook.db").write_text("marks")
    (course.root / "submitted" / "ada" / "assignment2").mkdir(parents=True)
    staged = course.staged(tmp_path / "scratch")
    assert sorted(path.name for path in staged.root.iterdir()) == [
        "bundle",
        "nbgrader_config.py",
        "samples",
        "source",
    ]


def test_the_gradebook_lies_in_the_course_folder(course):
    assert course.db_url == f"sqlite:///{course.root}/gradebook.db"


def test_every_folder_but_those_of_other_assignments_is_a_submission(course):
    submitted = course.root / "submitted"
    (course.root / "source" / "assignment1").mkdir()
    for name in ("ada/assignment2", "bob/assignment1", "typo/Assignment2", "empty", ".trash"):
        (submitted / name).mkdir(parents=True)
    (submitted / "file").mkdir()
    (submitted / "file" / "assignment2").touch()
    (submitted / "broken").mkdir()
    (submitted / "broken" / "assignment2").symlink_to("nowhere")
    (submitted / "eve.zip").touch()
    found = course.submissions("assignment2")
    assert list(found) == ["ada", "broken", "empty", "eve.zip", "file", "typo"]
    assert found["typo"] == submitted / "typo" / "assignment2"


def test_a_folder_without_config_is_not_a_course(tmp_path):
    with pytest.raises(CourseError, match=r"nbgrader_config\.py"):
        Course.at(tmp_path)


@pytest.mark.parametrize(("right", "wrong"), [('"UTC"', '"Utopia"'), ("18:00", "evening")])
def test_an_invalid_deadline_is_named(right, wrong, course):
    config = course.root / "nbgrader_config.py"
    config.write_text(config.read_text("utf-8").replace(right, wrong, 1), "utf-8")
    with pytest.raises(CourseError, match="DEADLINE or TIME_ZONE cannot be understood"):
        course.late_policy()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"cells": 1}', b"\xff\xfe"])
def test_a_file_that_is_not_a_notebook_is_named(content, tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_bytes(content)
    with pytest.raises(CourseError, match=r"a\.ipynb"):
        read_notebook(path)


def write(path, text, failure=None):
    with atomic_write(path) as temporary:
        temporary.write_text(text)
        if failure:
            raise failure


def test_a_file_is_replaced_only_without_an_error(tmp_path):
    path = tmp_path / "out" / "file"
    write(path, "first")
    with pytest.raises(RuntimeError):
        write(path, "half", RuntimeError())
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]
