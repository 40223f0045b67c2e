"""A course folder: its layout, its configuration, and nbgrader's API for it."""

import json
import logging
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbgrader.apps.api import NbGraderAPI
from traitlets.config.loader import Config, PyFileConfigLoader

from autograder.course.late import LatePolicy
from autograder.errors import CourseError

CONFIG = "nbgrader_config.py"
# What an instructor writes; nbgrader and the autograder make everything else in a course folder.
WRITTEN_BY_HAND = (CONFIG, "source", "bundle", "samples")


@dataclass(frozen=True)
class Course:
    """A folder with `nbgrader_config.py`, `source/` and what is made from them.

    Args:
        root: the folder.
    """

    root: Path

    @classmethod
    def at(cls, folder: Path) -> "Course":
        """The course in a folder.

        Raises:
            CourseError: the folder has no `nbgrader_config.py`.
        """
        if not (folder / CONFIG).is_file():
            raise CourseError(
                f"{folder} is not a course, because it has no {CONFIG}: give the folder of the "
                "course with --course."
            )
        return cls(folder.resolve())

    def config(self) -> Config:
        """The settings of its `nbgrader_config.py`.

        Raises:
            CourseError: that file raises an error.
        """
        try:
            return PyFileConfigLoader(CONFIG, path=str(self.root)).load_config()
        except Exception as error:  # the file is a program and may raise anything
            raise CourseError(
                f"{self.root / CONFIG} stops with {type(error).__name__} ({error}): correct it, or "
                "start from the original of the course."
            ) from None

    def late_policy(self) -> LatePolicy:
        """The deadline, the extensions and the late policy.

        Raises:
            CourseError: the deadline, the time zone or the table of extensions is not valid.
        """
        policy = LatePolicy(config=self.config())
        try:
            policy.deadline_in_utc, policy.extended  # noqa: B018
        except (ValueError, KeyError) as error:
            raise CourseError(
                f"{self.root / CONFIG}: DEADLINE or TIME_ZONE cannot be understood ({error}): "
                'write them like "2026-11-13 18:00" and "Europe/Zurich".'
            ) from None
        return policy

    def api(self, config: Config | None = None) -> NbGraderAPI:
        """The nbgrader API for this folder; it logs into its results, not to the terminal.

        Args:
            config: the settings to use; `None` for those of the course.
        """
        # nbgrader starts `alembic` by its bare name; it is installed next to Python.
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        logger = logging.getLogger("traitlets")
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
        return NbGraderAPI(config=config or self.config())

    def source(self, assignment: str) -> Path:
        """The folder of an assignment's notebooks, as the instructor wrote them.

        Raises:
            CourseError: there is no such assignment.
        """
        folder = self.root / "source" / assignment
        if not any(folder.glob("*.ipynb")):
            known = sorted(path.parent.name for path in self.root.glob("source/*/*.ipynb"))
            raise CourseError(
                f"There is no assignment {assignment} in {self.root / 'source'}: name one that "
                f"exists ({', '.join(dict.fromkeys(known)) or 'none does'})."
            )
        return folder

    def notebooks(self, assignment: str) -> list[Path]:
        """The assignment's notebooks, as the instructor wrote them."""
        return sorted(self.source(assignment).glob("*.ipynb"))

    def released(self, assignment: str) -> Path:
        """The folder of an assignment's student version."""
        return self.root / "release" / assignment

    @property
    def db_url(self) -> str:
        """The address of nbgrader's gradebook."""
        return str(self.api().coursedir.db_url)

    @property
    def records(self) -> Path:
        """The folder of the results and the history of grading."""
        return self.root / "records"

    def submissions(self, assignment: str) -> dict[str, Path]:
        """The folder of each student's submission, by student; it may be missing or damaged.

        A student with folders of other assignments only has not submitted this one. Everything else
        counts as a submission of this assignment, and reading it reports what is wrong with it.
        """
        others = {path.name for path in self.root.glob("source/*")} - {assignment}
        return {
            path.name.encode(errors="replace").decode(): path / assignment
            for path in sorted(self.root.glob("submitted/*"))
            if not path.name.startswith(".")
            if path.is_symlink() or not _holds_only(path, others)
        }

    def samples(self) -> dict[str, Path]:
        """The folders of the bundled sample submissions, by name."""
        return {
            path.parent.name: path.parent for path in sorted(self.root.glob("samples/*/marks.toml"))
        }

    def staged(self, target: Path) -> "Course":
        """A new copy of what was written by hand, without submissions and gradebook.

        Args:
            target: the folder of the copy; it is emptied first.
        """
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in WRITTEN_BY_HAND:
            original = self.root / name
            if original.is_dir():
                shutil.copytree(original, target / name)
            elif original.exists():
                shutil.copy(original, target / name)
        return Course.at(target)


def _holds_only(folder: Path, names: set[str]) -> bool:
    """Whether a folder is not empty and everything in it has one of these names."""
    held = {path.name for path in folder.glob("[!.]*")}
    return bool(held) and held <= names


def read_notebook(path: Path) -> dict[str, Any]:
    """Read a notebook as plain data.

    Raises:
        CourseError: the file cannot be read, or is not a notebook.
    """
    try:
        notebook = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise CourseError(
            f"{path} cannot be read as a notebook ({error}): put a valid file in its place."
        ) from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise CourseError(
            f"{path} is not a notebook (it has no list of cells): put a valid file in its place."
        )
    return notebook


def reason(result: dict[str, Any]) -> str:
    """The line in the result of a failed call of nbgrader that names the error."""
    lines = [line.strip() for line in (result.get("log", "") + result["error"]).splitlines()]
    causes = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Entry)\b", line)]
    return (causes or lines)[0]


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Write a file completely or not at all.

    Yields a temporary path to write to, whose file replaces `path` when the block ends without an
    error.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
