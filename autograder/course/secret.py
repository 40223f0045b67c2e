"""The release secret, which decides the inputs of the hidden tests so that nobody can predict them.

It is made with the first release, next to `nbgrader_config.py`, and is never published. The same
secret gives the same inputs, so that an answer that is graded again gets the same marks. Delete the
file to get other inputs with the next release.
"""

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from autograder.errors import CourseError

FILE = ".release_secret"
VARIABLE = "AUTOGRADER_RELEASE_SECRET"
COURSE = "AUTOGRADER_COURSE"


def use_release_secret(course: Path) -> None:
    """Put the secret of a course into the environment of all that grades; make it if needed.

    Raises:
        CourseError: the file is empty.
    """
    path = course / FILE
    if not path.exists():
        _make(path)
    secret = path.read_text("utf-8").strip()
    if not secret:
        raise CourseError(
            f"{path} is empty: put it back from a copy, or delete it, and the next release makes "
            "another secret."
        )
    os.environ[VARIABLE] = secret
    os.environ[COURSE] = str(course)


def _make(path: Path) -> None:
    """Make the file complete at once, and only once even if several processes try."""
    with NamedTemporaryFile("w", dir=path.parent, prefix=f"{FILE}.") as file:
        file.write(secrets.token_hex(16))
        file.flush()
        with suppress(FileExistsError):
            os.link(file.name, path)


def seed_of(exercise: str) -> int:
    """The seed of an exercise's hidden tests under this release."""
    text = f"{current()} {exercise}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


def to_hide() -> list[Path]:
    """The folder of the course if it exists on this machine, to hide from student code."""
    course = Path(os.environ.get(COURSE, ""))
    return [course] if course.is_absolute() and course.is_dir() else []


def current() -> str:
    """The secret that this process grades with."""
    return os.environ.get(VARIABLE, "")
