"""The release's secret: it decides the hidden tests' inputs, so that nobody can know them before.

It is made with the first release, lies beside `nbgrader_config.py`, and is never handed out. The
same secret gives the same inputs, so a regraded answer gets the same marks. To rotate an
assignment, delete the file.
"""

import hashlib
import os
import secrets
from pathlib import Path

FILE = ".release_secret"
VARIABLE = "AUTOGRADER_RELEASE_SECRET"
COURSE = "AUTOGRADER_COURSE"


def use_release_secret(course: Path) -> None:
    """Give the course's secret to all processes that grade; make one if there is none."""
    path = course / FILE
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(16), "utf-8")
    os.environ[VARIABLE] = path.read_text("utf-8").strip()
    os.environ[COURSE] = str(course)


def seed_of(exercise: str) -> int:
    """The seed of an exercise's hidden tests under this release."""
    text = f"{current()} {exercise}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


def to_hide() -> list[Path]:
    """The folder of the course, where it lies on this machine."""
    course = Path(os.environ.get(COURSE, ""))
    return [course] if course.is_absolute() and course.is_dir() else []


def current() -> str:
    """The secret that this process grades with."""
    return os.environ.get(VARIABLE, "")
