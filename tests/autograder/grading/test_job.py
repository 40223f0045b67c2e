import shutil
from dataclasses import replace

import pytest

from autograder.grading import job as jobs
from autograder.grading.job import Cell, Job
from autograder.sandbox.limits import Limits

JOB = Job((Cell("x = 1"), Cell("check(...)", "basic_block")), {"a.npz": b"1"}, Limits(), "secret")


def test_the_same_job_has_the_same_key():
    assert JOB.key == replace(JOB).key


@pytest.mark.parametrize(
    "change",
    [
        {"cells": (Cell("x = 2"), *JOB.cells[1:])},
        {"cells": (Cell("x = 1", answers=True), *JOB.cells[1:])},
        {"files": {"a.npz": b"2"}},
        {"files": {}},
        {"limits": Limits(memory_mib=1)},
        {"secret": "another"},
        {"sandbox": False},
    ],
)
def test_everything_that_may_change_the_marks_changes_the_key(change):
    assert replace(JOB, **change).key != JOB.key


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of our packages, to change."""
    for name, folder in jobs.PACKAGES.items():
        shutil.copytree(folder, tmp_path / name)
        monkeypatch.setitem(jobs.PACKAGES, name, tmp_path / name)
    jobs._code_digests.cache_clear()
    yield tmp_path
    jobs._code_digests.cache_clear()


def changed_by(path):
    """The exercises whose key changes with a file."""
    exercises = ("leaky_relu", "vgg_block", "basic_block", "dense_layer", "predict")
    job = {name: replace(JOB, cells=(Cell("", name),)) for name in exercises}
    before = {name: one.key for name, one in job.items()}
    path.write_text(path.read_text() + "\n# changed\n")
    jobs._code_digests.cache_clear()
    return {name for name, one in job.items() if one.key != before[name]}


@pytest.mark.parametrize(
    ("file", "exercises"),
    [
        ("autograder/checks/exercises/vgg.py", {"vgg_block"}),
        ("autograder/checks/exercises/residual.py", {"basic_block"}),
        ("convnets/training/data/__init__.py", {"predict"}),
        ("autograder/results/report.py", set()),
        (
            "autograder/sandbox/inside/answers.py",
            {"leaky_relu", "vgg_block", "basic_block", "dense_layer", "predict"},
        ),
    ],
)
def test_a_changed_file_changes_the_keys_of_the_exercises_that_depend_on_it(
    copied, file, exercises
):
    assert changed_by(copied / file) == exercises
