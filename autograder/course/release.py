"""Releases an assignment: nbgrader strips solutions and hidden tests; this packs the bundle."""

import zipfile
from pathlib import Path
from string import Template

import numpy as np

from autograder.course.folder import Course, atomic_write, read_notebook, reason
from autograder.course.late import set_deadline
from autograder.errors import CourseError

# The time of all files in the zip, so that the same source gives the same bytes.
NO_TIME = (1980, 1, 1, 0, 0, 0)
# The training images of data/, without the test images, on which `predict` is marked. The file is
# made if a notebook reads it; nbgrader copies it from source/ together with the notebooks.
IMAGES = "fashion_mnist_train.npz"
# What `new-exercise` writes where an instructor must complete the text.
UNWRITTEN = "WRITE ME"


def generate(course: Course, assignment: str) -> Path:
    """Make the student version with nbgrader and return its folder.

    Raises:
        CourseError: a notebook is not finished, or nbgrader refuses it.
    """
    for notebook in course.notebooks(assignment):
        _refuse_unwritten(notebook)
    provide_images(course, assignment)
    api = course.api()
    result = api.generate_assignment(assignment)
    if not result["success"]:
        raise CourseError(
            f"nbgrader could not release {assignment} ({reason(result)}): correct that in source/, "
            "then release again."
        )
    set_deadline(api.coursedir.db_url, assignment, course.late_policy())
    return course.released(assignment)


def _refuse_unwritten(path: Path) -> None:
    for cell in read_notebook(path)["cells"]:
        if UNWRITTEN in "".join(cell["source"]):
            raise CourseError(
                f"{path}: the cell {cell.get('id', '?')} still says {UNWRITTEN}: complete it, then "
                "release again."
            )


def provide_images(course: Course, assignment: str) -> None:
    """Put the training images next to the source notebooks if one of them names the file."""
    path = course.source(assignment) / IMAGES
    needed = any(IMAGES in book.read_text("utf-8") for book in course.notebooks(assignment))
    if needed and not path.exists():
        # It imports PyTorch, which the process that grades a class does not need.
        from convnets.training.data import load

        train = load("fashion-mnist-small").train
        images, labels = train.images[:, 0].numpy(), train.labels.numpy().astype(np.uint8)
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, images=images, labels=labels)


def release(course: Course, assignment: str, out: Path) -> Path:
    """Release an assignment and write `out`/ASSIGNMENT.zip; the same source gives the same bytes.

    Raises:
        CourseError: as `generate` does.
    """
    folder = generate(course, assignment)
    files = {
        path.relative_to(folder): path.read_bytes()
        for pattern in ("*.ipynb", IMAGES)
        for path in folder.rglob(pattern)
    }
    for path in (course.root / "bundle").iterdir():
        files[Path(path.name)] = _filled(path.read_text("utf-8"), course, assignment).encode()
    bundle = out / f"{assignment}.zip"
    with atomic_write(bundle) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(f"{assignment}/{name.as_posix()}", NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return bundle


def _filled(text: str, course: Course, assignment: str) -> str:
    policy = course.late_policy()
    return Template(text).substitute(
        assignment=assignment,
        notebooks=", ".join(f"`{path.name}`" for path in course.notebooks(assignment)),
        deadline=policy.deadline_in_words,
        late_policy=policy.in_words,
    )
