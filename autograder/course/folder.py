"""A course folder: where things are in it, its configuration, and nbgrader's door to it."""

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
# What an instructor writes; everything else in a course folder nbgrader makes.
WRITTEN_BY_HAND = (CONFIG, "source", "bundle", "samples")


@dataclass(frozen=True)
class Course:
    """A folder with `nbgrader_config.py`, `source/` and what nbgrader makes of it."""

    root: Path

    @classmethod
    def at(cls, folder: Path) -> "Course":
        if not (folder / CONFIG).is_file():
            raise CourseError(
                f"{folder} is not a course: it has no {CONFIG}. Name the folder with --course."
            )
        return cls(folder.resolve())

    def config(self) -> Config:
        """What its `nbgrader_config.py` sets.

        Raises:
            CourseError: that file fails.
        """
        try:
            return PyFileConfigLoader(CONFIG, path=str(self.root)).load_config()
        except Exception as error:  # it is a program
            raise CourseError(
                f"{self.root / CONFIG} stops with {type(error).__name__}: {error}. Mend it, or "
                "take the course's original."
            ) from None

    def late_policy(self) -> LatePolicy:
        policy = LatePolicy(config=self.config())
        try:
            policy.deadline_in_utc, policy.extended  # noqa: B018
        except (ValueError, KeyError) as error:
            raise CourseError(
                f"{self.root / CONFIG}: DEADLINE or TIME_ZONE cannot be understood ({error}). "
                'Write them like "2026-11-13 18:00" and "Europe/Zurich".'
            ) from None
        return policy

    def api(self, config: Config | None = None) -> NbGraderAPI:
        """The nbgrader API for this folder; it logs into its results, not to the terminal.

        Args:
            config: the course's own if `None`.
        """
        # nbgrader starts `alembic` by its bare name; it stands beside our Python.
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        logger = logging.getLogger("traitlets")
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
        return NbGraderAPI(config=config or self.config())

    def source(self, assignment: str) -> Path:
        folder = self.root / "source" / assignment
        if not any(folder.glob("*.ipynb")):
            known = sorted(path.parent.name for path in self.root.glob("source/*/*.ipynb"))
            raise CourseError(
                f"There is no assignment {assignment} in {self.root / 'source'}. "
                f"There is: {', '.join(dict.fromkeys(known)) or 'none'}."
            )
        return folder

    def notebooks(self, assignment: str) -> list[Path]:
        """The assignment's notebooks, as the instructor wrote them."""
        return sorted(self.source(assignment).glob("*.ipynb"))

    def released(self, assignment: str) -> Path:
        return self.root / "release" / assignment

    @property
    def db_url(self) -> str:
        """The address of nbgrader's gradebook."""
        return str(self.api().coursedir.db_url)

    @property
    def records(self) -> Path:
        """Where results and the history of grading are kept."""
        return self.root / "records"

    def submissions(self, assignment: str) -> dict[str, Path]:
        """The folder that each student handed in, by student; or where it should be.

        Who has only folders of other assignments handed in nothing. All else was meant for this
        one, and whoever reads it says what is wrong with it.
        """
        others = {path.name for path in self.root.glob("source/*")} - {assignment}
        return {
            path.name.encode(errors="replace").decode(): path / assignment
            for path in sorted(self.root.glob("submitted/*"))
            if not path.name.startswith(".")
            if path.is_symlink() or not _holds_only(path, others)
        }

    def samples(self) -> dict[str, Path]:
        """The bundled submissions, each with the marks that it must get, by name."""
        return {
            path.parent.name: path.parent for path in sorted(self.root.glob("samples/*/marks.toml"))
        }

    def staged(self, target: Path) -> "Course":
        """A fresh scratch copy: what was written by hand, without submissions and gradebook."""
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
    """Whether all of a folder, and there is something, has one of these names."""
    held = {path.name for path in folder.glob("[!.]*")}
    return bool(held) and held <= names


def read_notebook(path: Path) -> dict[str, Any]:
    """A notebook as plain data."""
    try:
        notebook = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise CourseError(f"{path} cannot be read as a notebook ({error}).") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise CourseError(f"{path} is not a notebook: it has no list of cells.")
    return notebook


def reason(result: dict[str, Any]) -> str:
    """The line of a failed nbgrader call that says what was wrong."""
    lines = [line.strip() for line in (result.get("log", "") + result["error"]).splitlines()]
    causes = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Entry)\b", line)]
    return (causes or lines)[0]


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary name to write to; the file takes its place only if all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
