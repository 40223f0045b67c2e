import json
import subprocess
import sys
import zipfile

import pytest

from autograder.errors import CourseError
from autograder.leaks import gather, search
from autograder.release import release
from tests.autograder.conftest import ASSIGNMENT

pytestmark = pytest.mark.slow  # real nbgrader runs


@pytest.fixture(scope="module")
def bundle(original, tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    return release(original.staged(folder / "course"), ASSIGNMENT, folder)


def test_the_bundle_holds_notebook_readme_and_requirements(bundle):
    names = {"README.md", "requirements.txt", "residual_learning.ipynb"}
    assert set(zipfile.ZipFile(bundle).namelist()) == {f"{ASSIGNMENT}/{name}" for name in names}


def test_the_bundle_has_no_solution_and_no_hidden_test(bundle, original):
    assert search(bundle, gather(original)) == []


def test_the_readme_says_deadline_time_zone_and_late_policy(bundle):
    readme = zipfile.ZipFile(bundle).read(f"{ASSIGNMENT}/README.md").decode()
    assert "13 November 2026, 18:00 (UTC)" in readme
    assert "10 % of the maximum" in readme
    assert "After 5 days nothing counts" in readme
    assert "$" not in readme


def test_the_same_source_gives_the_same_bytes(bundle, course, tmp_path):
    assert release(course, ASSIGNMENT, tmp_path).read_bytes() == bundle.read_bytes()


def test_visible_tests_pass_in_a_right_notebook_with_the_bundle_alone(bundle, original, tmp_path):
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path)
    released = json.loads((tmp_path / ASSIGNMENT / "residual_learning.ipynb").read_text("utf-8"))
    answered = json.loads(
        (original.samples()["all_right"] / "residual_learning.ipynb").read_text("utf-8")
    )
    answers = {cell["id"]: cell["source"] for cell in answered["cells"]}
    code = [
        "".join(answers[cell["id"]] if cell["id"].endswith("_answer") else cell["source"])
        for cell in released["cells"]
        if cell["cell_type"] == "code"
    ]
    # -I: neither this folder nor PYTHONPATH is searched. None in sys.modules refuses an import.
    refuse = "import sys; sys.modules.update(autograder=None, convnets=None)"
    run = subprocess.run(
        [sys.executable, "-I", "-c", "\n".join([refuse, *code])],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("the visible tests pass") == 3


def test_a_source_that_nbgrader_refuses_leaves_the_old_bundle(course, tmp_path):
    (tmp_path / f"{ASSIGNMENT}.zip").write_bytes(b"the old bundle")
    notebook = course.notebooks(ASSIGNMENT)[0]
    notebook.write_text(notebook.read_text("utf-8").replace("### END SOLUTION", ""), "utf-8")
    with pytest.raises(CourseError, match=r"solution statements.*release again"):
        release(course, ASSIGNMENT, tmp_path)
    assert [path.read_bytes() for path in tmp_path.glob("*.zip*")] == [b"the old bundle"]


def test_a_damaged_source_is_named(course, tmp_path):
    course.notebooks(ASSIGNMENT)[0].write_text("{")
    with pytest.raises(CourseError, match=r"residual_learning.ipynb cannot be read"):
        release(course, ASSIGNMENT, tmp_path)
