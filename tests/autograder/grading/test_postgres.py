"""A gradebook on a real PostgreSQL server, on machines where one is installed."""

import os
import shutil
import subprocess

import pytest

from autograder.grading.doctor import diagnose
from autograder.grading.grade import grade
from autograder.results.export import student_records
from tests.autograder.conftest import ASSIGNMENT, small_class
from tests.autograder.grading.test_driver import CLASS, TOTALS, totals

pytestmark = [
    pytest.mark.sweep,
    pytest.mark.usefixtures("isolation"),
    pytest.mark.skipif(not shutil.which("pg_ctl"), reason="no PostgreSQL is installed here"),
]


@pytest.fixture
def server(tmp_path_factory):
    """The address of an empty database. PostgreSQL refuses to run as root."""
    folder = tmp_path_factory.mktemp("postgres")
    who = {"user": "postgres"} if os.geteuid() == 0 else {}
    if who:
        shutil.chown(folder, "postgres")
        for parent in folder.parents[:3]:
            parent.chmod(parent.stat().st_mode | 0o011)  # the last may be /tmp, which stays open
    options = f"-c listen_addresses='' -k {folder}"
    control = ["pg_ctl", "-D", folder / "data", "-l", folder / "log", "-o", options, "-w"]
    initialise = ["initdb", "-D", folder / "data", "-U", "grader", "--auth=trust", "-E", "UTF8"]
    for command in (initialise, [*control, "start"]):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **who)
    yield f"postgresql+psycopg://grader@/postgres?host={folder}"
    subprocess.run([*control, "-m", "fast", "stop"], check=True, stdout=subprocess.DEVNULL, **who)


def test_a_class_is_graded_into_postgresql(original, tmp_path, server):
    with_server = original.staged(tmp_path / "course")
    config = with_server.root / "nbgrader_config.py"
    config.write_text(config.read_text() + f"\nc.CourseDirectory.db_url = {server!r}\n")
    course = small_class(with_server, tmp_path, **CLASS)
    assert totals(grade(course, ASSIGNMENT, jobs=1)) == TOTALS
    assert not (course.root / "gradebook.db").exists()
    again = grade(course, ASSIGNMENT)
    assert (totals(again), again.unchanged) == (TOTALS, 3)
    assert {one.student: one.raw for one in student_records(course, ASSIGNMENT)} == TOTALS
    [database] = [one for one in diagnose(course) if one.name == "database"]
    assert database.is_fine
