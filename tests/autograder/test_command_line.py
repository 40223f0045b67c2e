import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from autograder.__main__ import TRUST, app
from autograder.errors import CourseError

pytestmark = pytest.mark.slow  # real nbgrader runs


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_help_imports_neither_nbgrader_nor_torch():
    code = (
        "import sys, autograder.__main__\n"
        "assert not {'torch', 'nbgrader', 'nbconvert'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_driver_does_not_import_torch():
    """PyTorch would cost it seconds and half a gigabyte; only the workers need it."""
    code = (
        "import sys, autograder.grading.workers\n"
        "from typer.testing import CliRunner\n"
        "from autograder.__main__ import app\n"
        "CliRunner().invoke(app, ['grade', '--course', 'nowhere'])\n"
        "assert 'autograder.grading.grade' in sys.modules\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


COMMANDS = [
    "release",
    "grade",
    "feedback",
    "report",
    "export",
    "replay",
    "selftest",
    "doctor",
    "new-exercise",
    "leaks",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command):
    assert f"Example: python -m autograder {command}" in run(command, "--help").output


@pytest.mark.parametrize(
    ("command", "default"),
    [
        ("release", "_build/release"),
        ("grade", "assignments"),
        ("grade", "(one for each core)"),
        ("export", "nbgrader"),
        ("selftest", "0"),
        ("new-exercise", "assignment2"),
    ],
)
def test_help_shows_defaults_and_fits_80_columns(command, default):
    result = subprocess.run(
        [sys.executable, "-m", "autograder", command, "--help"],
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"[default: {default}]" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    "command", [["release"], ["grade"], ["doctor"], ["replay", "ada", "predict"], ["leaks", "."]]
)
def test_a_folder_that_is_not_a_course_is_refused(command, tmp_path):
    result = run(*command, "--course", tmp_path)
    assert isinstance(result.exception, CourseError)
    assert "give the folder of the course with --course" in str(result.exception)


def test_a_mistake_is_one_sentence_and_status_1(tmp_path):
    command = [sys.executable, "-m", "autograder", "grade", "--course", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1


def test_grading_without_the_sandbox_warns_of_the_risk(course):
    result = run("grade", "--no-sandbox", "--course", course.root)
    assert TRUST in result.stderr
    assert "can read, write and send whatever you can" in TRUST
    assert "There are no submissions" in str(result.exception)
    assert TRUST not in run("grade", "--course", course.root).stderr


def test_leaks_fails_if_and_only_if_there_is_a_leak(original, tmp_path):
    page = tmp_path / "page.html"
    page.write_text('check("predict", predict).report()')
    found = run("leaks", page, "--course", original.root)
    assert found.exit_code == 1
    assert "page.html: hidden tests of 5_assemble_and_train.ipynb" in found.output
    page.write_text("nothing")
    clean = run("leaks", page, "--course", original.root)
    assert clean.exit_code == 0
    assert "None of" in clean.output
