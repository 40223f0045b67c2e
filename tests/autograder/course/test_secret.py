"""The release secret."""

import time
from multiprocessing import get_context
from pathlib import Path

import pytest

from autograder.course import secret
from autograder.errors import CourseError


@pytest.fixture(autouse=True)
def _restored(monkeypatch):
    """Restores the environment of the session's own course after each test."""
    monkeypatch.setenv(secret.VARIABLE, secret.current())
    monkeypatch.setenv(secret.COURSE, "")


def used(folder: Path) -> str:
    secret.use_release_secret(folder)
    return secret.current()


def test_processes_that_start_together_get_the_same_secret(tmp_path, monkeypatch):
    make = secret.secrets.token_hex

    def make_slowly(size: int) -> str:
        time.sleep(0.2)
        return make(size)

    monkeypatch.setattr(secret.secrets, "token_hex", make_slowly)
    with get_context("fork").Pool(4) as pool:
        [one] = {*pool.map(used, [tmp_path] * 4, chunksize=1)}
    assert len(one) == 32


def test_only_its_owner_may_read_the_file_and_nothing_else_is_left(tmp_path):
    used(tmp_path)
    [path] = tmp_path.iterdir()
    assert path.name == secret.FILE
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_same_course_keeps_its_secret(tmp_path):
    assert used(tmp_path) == used(tmp_path)


def test_an_empty_file_is_refused_with_what_to_do(tmp_path):
    (tmp_path / secret.FILE).touch()
    with pytest.raises(CourseError, match="is empty: put it back from a copy, or delete it"):
        secret.use_release_secret(tmp_path)
