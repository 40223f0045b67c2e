"""Everything that the doctor may find, and its advice; `test_driver.py` has a healthy course."""

from collections import namedtuple

import pytest
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

from autograder.grading.doctor import diagnose

pytestmark = pytest.mark.slow  # each starts a process that imports nbgrader


@pytest.fixture
def wrong(course, monkeypatch):
    """Finds what is wrong with the course, by name."""
    monkeypatch.setattr("autograder.grading.doctor.available", lambda: "")  # it takes seconds
    return lambda: {one.name: one.sentence for one in diagnose(course) if not one.is_fine}


@pytest.fixture(autouse=True)
def enough_memory(monkeypatch):
    monkeypatch.setattr("autograder.grading.doctor.os.cpu_count", lambda: 1)
    size = namedtuple("size", "total")
    monkeypatch.setattr("psutil.virtual_memory", lambda: size(2**34))


def test_nothing_is_wrong_with_a_fresh_course(wrong):
    assert wrong() == {}


def test_a_full_disk(wrong, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage(2**30))
    assert "has 1024 MiB free; 2048 are needed. Free some space, or set TMPDIR" in wrong()["disk"]


def test_no_kernel(wrong, monkeypatch):
    def refuse(self, name):
        raise NoSuchKernel(name)

    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", refuse)
    assert "no kernel python3: run `make course`" in wrong()["kernel"]


def test_a_secret_that_others_may_read(wrong, course):
    assert wrong() == {}
    path = course.root / ".release_secret"
    path.chmod(0o644)
    assert wrong() == {"secret": f"Others on this machine can read {path}: run chmod 600 {path}"}


def test_a_file_that_is_not_a_gradebook(wrong, course):
    (course.root / "gradebook.db").write_text("no database, and longer than a hundred bytes" * 9)
    assert "cannot be written (" in wrong()["database"]
    assert "newest copy from backups/" in wrong()["database"]


def test_a_machine_on_which_the_sandbox_does_not_start(wrong, monkeypatch):
    monkeypatch.setattr("autograder.grading.doctor.available", lambda: "No sandbox here.")
    assert wrong() == {"sandbox": "No sandbox here."}


def test_a_configuration_that_fails(wrong, course):
    config = course.root / "nbgrader_config.py"
    config.write_text(config.read_text("utf-8") + "\nlimit = 1 / 0\n", "utf-8")
    assert "nbgrader_config.py stops with ZeroDivisionError" in wrong()["config"]


def test_a_table_of_extensions_that_cannot_be_read(wrong, course):
    (course.root / "extensions.csv").write_text("student,until\nada\n")
    assert "extensions.csv, line 2" in wrong()["deadline"]
