import json
import os
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from autograder.__main__ import app
from autograder.authoring.new_exercise import Kind, new_exercise
from autograder.course.folder import read_notebook
from autograder.errors import CourseError
from tests.autograder.conftest import ASSIGNMENT, REPOSITORY


@pytest.fixture
def package(tmp_path):
    """A folder for checks and banks, like the package `autograder`."""
    (tmp_path / "package" / "checks" / "exercises").mkdir(parents=True)
    (tmp_path / "package" / "authoring" / "mutants").mkdir(parents=True)
    return tmp_path / "package"


def last_notebook(course):
    return read_notebook(course.notebooks(ASSIGNMENT)[-1])


def test_new_cells_come_before_the_last_cell(course, package):
    before = [cell["id"] for cell in last_notebook(course)["cells"]]
    new_exercise(course, ASSIGNMENT, "gated_block", 5, Kind.BLOCK, 8, package)
    cells = last_notebook(course)["cells"]
    ids = [f"gated_block{end}" for end in ("_text", "_answer", "_visible", "")]
    assert [cell["id"] for cell in cells] == [*before[:-1], *ids, before[-1]]
    test = cells[-2]
    assert test["metadata"]["nbgrader"]["points"] == 8
    assert 'check("gated_block", GatedBlock).report()' in "".join(test["source"])


@pytest.mark.parametrize(
    ("name", "notebook", "points", "sentence"),
    [
        ("Gated-block", 5, 5, "is not a valid name for an exercise"),
        ("../escape", 5, 5, "is not a valid name for an exercise"),
        ("lambda", 5, 5, "is not a valid name for an exercise"),
        ("predict", 5, 5, "predict exists already"),
        ("own_network", 5, 5, "own_network exists already"),
        ("gated_block", 9, 5, "There is no notebook 9"),
        ("gated_block", 5, 0, "too few"),
    ],
)
def test_invalid_exercises_are_refused_and_no_file_changes(
    name, notebook, points, sentence, course, package
):
    before = last_notebook(course)
    with pytest.raises(CourseError, match=sentence):
        new_exercise(course, ASSIGNMENT, name, notebook, Kind.BLOCK, points, package)
    assert last_notebook(course) == before
    assert not [path for path in package.rglob("*") if path.is_file()]


def test_existing_files_are_not_overwritten(course, package):
    bank = package / "authoring" / "mutants" / "gated_block.toml"
    bank.write_text("mine")
    with pytest.raises(CourseError, match="gated_block exists already"):
        new_exercise(course, ASSIGNMENT, "gated_block", 5, Kind.BLOCK, package=package)
    assert bank.read_text() == "mine"


@pytest.fixture
def copy(tmp_path):
    """A copy of the course and the autograder, to run the command in."""
    for folder in ("assignments", "autograder"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    return tmp_path


def run(copy, *arguments):
    path = f"{copy}{os.pathsep}{REPOSITORY / 'src'}"
    command = [sys.executable, "-m", "autograder", *arguments]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, cwd=copy, capture_output=True, text=True, env=environment)


@pytest.mark.sweep
@pytest.mark.parametrize(("kind", "answer"), [("block", "NewOne(5, 5)"), ("function", "new_one(")])
def test_a_new_skeleton_can_be_tested_and_names_what_to_write(kind, answer, copy):
    assert run(copy, "new-exercise", "new_one", "--notebook", "3", "--kind", kind).returncode == 0
    result = run(copy, "selftest", "--exercise", "new_one")
    said = " ".join((result.stdout + result.stderr).split())
    assert result.returncode == 1
    assert "Traceback" not in said
    if kind == "block":
        assert f"{answer} is not written yet" in said
        assert "write at least 6 and 3" in said
    else:
        assert "new_one.py, WRITE ME: the reference function." in said


@pytest.mark.sweep
def test_a_finished_exercise_passes_the_self_test(copy):
    assert not run(
        copy, "new-exercise", "new_one", "--notebook", "3", "--kind", "function"
    ).returncode
    check = copy / "autograder" / "checks" / "exercises" / "new_one.py"
    start = check.read_text().index("    raise CourseError")
    rest = check.read_text()[start:].partition("\n")[2]
    check.write_text(check.read_text()[:start] + "    return 2 * x\n" + rest)
    path = next((copy / "assignments" / "source" / ASSIGNMENT).glob("3_*.ipynb"))
    notebook = read_notebook(path)
    answer = next(cell for cell in notebook["cells"] if cell["id"] == "new_one_answer")
    answer["source"] = "".join(answer["source"]).replace(
        'raise NotImplementedError("WRITE ME")', "return x + x"
    )
    path.write_text(json.dumps(notebook))
    bank = ""
    for factor, says in ((2, ""), (2.0, ""), (1, "values"), (3, "values"), (4, "values")):
        kind = f'[[mutant]]\nsays = "has wrong {says}"' if says else "[[variant]]"
        bank += f'{kind}\nname = "{factor}"\nsource = "new_one = lambda x: {factor} * x"\n'
    (copy / "autograder" / "authoring" / "mutants" / "new_one.toml").write_text(bank)
    result = run(copy, "selftest", "--exercise", "new_one")
    assert result.returncode == 0, result.stdout + result.stderr


def test_an_unknown_kind_is_refused_with_one_sentence():
    command = ["new-exercise", "new_one", "--notebook", "3", "--kind", "sum"]
    refused = CliRunner().invoke(app, command).exception
    assert isinstance(refused, CourseError)
    assert str(refused) == "sum is not a kind of exercise: choose block or function."
