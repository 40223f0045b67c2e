import subprocess
import sys
import zipfile
from io import BytesIO

import numpy as np
import pytest

from autograder.authoring.leaks import gather, search
from autograder.authoring.samples import instructors_answers
from autograder.course.folder import read_notebook
from autograder.course.release import IMAGES, release
from autograder.errors import CourseError
from convnets.training.data import load
from tests.autograder.conftest import ASSIGNMENT, REPOSITORY

pytestmark = pytest.mark.slow  # real nbgrader runs


@pytest.fixture(scope="module")
def bundle(original, tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    return release(original.staged(folder / "course"), ASSIGNMENT, folder)


def test_the_bundle_holds_notebooks_images_readme_and_requirements(bundle, original):
    books = {path.name for path in original.notebooks(ASSIGNMENT)}
    names = {"README.md", "requirements.txt", IMAGES} | books
    assert set(zipfile.ZipFile(bundle).namelist()) == {f"{ASSIGNMENT}/{name}" for name in names}


def test_the_bundle_has_the_training_images_and_no_test_image(bundle):
    with np.load(BytesIO(zipfile.ZipFile(bundle).read(f"{ASSIGNMENT}/{IMAGES}"))) as arrays:
        images, labels = arrays["images"], arrays["labels"]
        assert set(arrays) == {"images", "labels"}
    data = load("fashion-mnist-small")
    assert (images == data.train.images[:, 0].numpy()).all()
    assert (labels == data.train.labels.numpy()).all()
    given = {image.tobytes() for image in images}
    assert not given & {image.tobytes() for image in data.test.images.numpy()}


def test_the_bundle_has_no_solution_and_no_hidden_test(bundle, original):
    assert search(bundle, gather(original)) == []


def test_the_readme_says_deadline_time_zone_and_late_policy(bundle):
    readme = zipfile.ZipFile(bundle).read(f"{ASSIGNMENT}/README.md").decode()
    assert "13 November 2026, 18:00 (UTC)" in readme
    assert "10 % of the maximum" in readme
    assert "After 5 days a submission earns nothing" in readme
    assert "$" not in readme


def test_the_same_source_gives_the_same_bytes(bundle, course, tmp_path):
    assert release(course, ASSIGNMENT, tmp_path).read_bytes() == bundle.read_bytes()


NOWHERE = "http://127.0.0.1:9"  # a proxy that does not exist, so that nothing is downloaded
# nbgrader strips the answers; these are the instructor's, with a training of one second.
SHORT = {
    "training_answer": """
torch.manual_seed(0)
network = Network()
losses = fit(network, train_images[:1000], train_labels[:1000], epochs=2, seconds=20)
"""
}


def code_of(notebook, answers):
    """The code cells of a released notebook, with answers in their cells."""
    cells = read_notebook(notebook)["cells"]
    return [
        answers.get(cell["id"], "".join(cell["source"]))
        for cell in cells
        if cell["cell_type"] == "code"
    ]


def run_alone(code, folder):
    # With -I, neither this folder nor PYTHONPATH is searched. None in sys.modules blocks an import.
    refuse = "import sys; sys.modules.update(autograder=None, convnets=None)"
    return subprocess.run(
        [sys.executable, "-I", "-c", "\n".join([refuse, *code])],
        cwd=folder,
        capture_output=True,
        text=True,
        env={
            "HOME": str(folder),
            "MPLBACKEND": "agg",
            "OMP_NUM_THREADS": "1",
            "http_proxy": NOWHERE,
            "https_proxy": NOWHERE,
        },
    )


BOOKS = [path.name for path in sorted(REPOSITORY.glob(f"assignments/source/{ASSIGNMENT}/*.ipynb"))]


@pytest.mark.parametrize("book", BOOKS)
def test_visible_tests_pass_in_a_right_notebook_with_the_bundle_alone(
    book, bundle, original, tmp_path
):
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / ASSIGNMENT
    code = code_of(folder / book, instructors_answers(original, ASSIGNMENT) | SHORT)
    run = run_alone(code, folder)
    assert run.returncode == 0, run.stderr
    visible = sum("the visible tests pass" in cell for cell in code)
    assert run.stdout.count("the visible tests pass") == visible > 0


def test_without_images_and_internet_the_message_says_what_to_do(bundle, tmp_path):
    (tmp_path / "book.ipynb").write_bytes(
        zipfile.ZipFile(bundle).read(f"{ASSIGNMENT}/5_assemble_and_train.ipynb")
    )
    run = run_alone(code_of(tmp_path / "book.ipynb", {})[:2], tmp_path)
    assert run.returncode == 1
    assert "torchvision downloads Fashion-MNIST instead" in run.stdout
    assert "put fashion_mnist_train.npz from the assignment's zip beside" in run.stderr


def test_the_download_selects_the_images_of_the_bundle(original):
    sys.path.insert(0, str(REPOSITORY / "data"))
    from make_subset import SEED, SIZES, balanced

    space = {"np": np}
    data = next(
        "".join(cell["source"])
        for cell in read_notebook(original.notebooks(ASSIGNMENT)[-1])["cells"]
        if cell["id"] == "data"
    )
    exec(data[data.index("def same_images") : data.index("\n\n\nimages, labels")], space)
    labels = np.random.default_rng(1).integers(0, 10, 60_000)
    expected = balanced(labels, SIZES["train"], np.random.default_rng(SEED))
    assert (space["same_images"](labels) == expected).all()


def test_an_unfinished_notebook_is_not_released(course, tmp_path):
    notebook = course.notebooks(ASSIGNMENT)[0]
    text = notebook.read_text("utf-8").replace("Before you submit", "WRITE ME", 1)
    notebook.write_text(text, "utf-8")
    with pytest.raises(CourseError, match="the cell end still says WRITE ME"):
        release(course, ASSIGNMENT, tmp_path)


def test_a_source_that_nbgrader_refuses_keeps_the_old_bundle(course, tmp_path):
    (tmp_path / f"{ASSIGNMENT}.zip").write_bytes(b"the old bundle")
    notebook = course.notebooks(ASSIGNMENT)[0]
    notebook.write_text(notebook.read_text("utf-8").replace("### END SOLUTION", ""), "utf-8")
    with pytest.raises(CourseError, match=r"solution statement.*release again"):
        release(course, ASSIGNMENT, tmp_path)
    assert [path.read_bytes() for path in tmp_path.glob("*.zip*")] == [b"the old bundle"]


def test_a_damaged_source_is_named(course, tmp_path):
    course.notebooks(ASSIGNMENT)[0].write_text("{")
    with pytest.raises(CourseError, match=r"\.ipynb cannot be read"):
        release(course, ASSIGNMENT, tmp_path)
