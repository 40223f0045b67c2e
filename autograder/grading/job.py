"""What grades one notebook: the `Job` that goes in and the `NotebookResult` that comes out.

A `Job` holds everything that decides the marks. Its `key` is a hash of that: jobs with the same key
get the same marks. `autograder.grading.run_job` runs jobs.
"""

import ast
import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cache, lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from autograder.sandbox.limits import Limits

Output = dict[str, Any]
# The name of the error output by which a test cell says that the test itself failed. The examiner
# alone writes the outputs of test cells, so student code cannot show it there.
EXAMINER_ERROR = "ExaminerError"
# The folders of the code that decides marks.
PACKAGES = {
    "autograder": Path(__file__).parents[1],
    "convnets": Path(str(getattr(find_spec("convnets"), "origin", ""))).parent,
}


class State(StrEnum):
    """How the grading of an exercise ended."""

    GRADED = "graded"
    FAILED = "failed"
    OUT_OF_TIME = "out of time"
    OUT_OF_MEMORY = "out of memory"
    CRASHED = "crashed"
    MISSING = "missing"
    NOT_RUNNABLE = "not runnable"
    EXAMINER_ERROR = "examiner error"


@dataclass(frozen=True)
class Cell:
    """A code cell.

    Args:
        source: its text.
        exercise: the exercise that it marks, if it is a test cell.
        answers: whether students write their answer into it.
        untouched: whether it is an answer cell that still holds what was handed out.
    """

    source: str
    exercise: str = ""
    answers: bool = False
    untouched: bool = False


@dataclass(frozen=True)
class Job:
    """A notebook to grade.

    Args:
        cells: its code cells.
        files: the content of the files next to it, by name.
        limits: what the student's code may use.
        secret: the secret of the release, which decides the inputs of the tests.
        sandbox: whether student code runs in the sandbox; without it, the code is trusted.
    """

    cells: tuple[Cell, ...]
    files: Mapping[str, bytes]
    limits: Limits
    secret: str
    sandbox: bool = True

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 digest of each file, by name."""
        return {name: _file_digest(content) for name, content in self.files.items()}

    @property
    def key(self) -> str:
        """A hash of everything that decides the marks, the versions of our code included."""
        exercises = sorted({cell.exercise for cell in self.cells if cell.exercise})
        decides = [
            [asdict(cell) for cell in self.cells],
            sorted(self.digests.items()),
            asdict(self.limits),
            self.secret,
            self.sandbox,
            _code_digests(tuple(exercises)),
            versions(),
        ]
        return _digest(json.dumps(decides).encode())


@dataclass(frozen=True)
class ExerciseResult:
    """The result of one exercise.

    Args:
        state: how its grading ended.
        marks: `None` if a person must mark it.
        sentence: what the student is told; "" if the output of the test says it already.
        seed: the seed of the test's inputs.
    """

    state: State
    marks: float | None
    sentence: str
    seed: int


@dataclass(frozen=True)
class NotebookResult:
    """The result of a job.

    Args:
        outputs: the outputs of each cell, in nbformat's form.
        exercises: the result of each exercise, by name.
        seconds: how long the job took, by the clock.
    """

    outputs: list[list[Output]]
    exercises: dict[str, ExerciseResult] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def has_examiner_error(self) -> bool:
        """Whether a test itself failed, so that a person must mark its exercise."""
        return any(one.state is State.EXAMINER_ERROR for one in self.exercises.values())

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "NotebookResult":
        return cls(data["outputs"], exercises_from_json(data["exercises"]), data["seconds"])


def exercises_from_json(data: Mapping[str, Any]) -> dict[str, ExerciseResult]:
    """Results by exercise, as `NotebookResult.to_json` and the history write them."""
    return {
        name: ExerciseResult(State(one["state"]), one["marks"], one["sentence"], one["seed"])
        for name, one in data.items()
    }


@cache
def versions() -> Mapping[str, str]:
    """The versions of the software that decides marks, by package."""
    packages = ("numpy", "torch", "torchvision")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@lru_cache(32)
def _file_digest(content: bytes) -> str:
    """The digest of a file; cached, because the notebooks of a class share their files."""
    return _digest(content)


@cache
def _code_digests(exercises: tuple[str, ...]) -> list[str]:
    """The digests of our source files on which the marks of some exercises depend.

    The files are found by following imports, from the code that runs jobs and from the checks that
    name one of the exercises.
    """
    found = {"autograder.grading.run_job", "autograder.sandbox.inside.fork_server"}
    for path in sorted(PACKAGES["autograder"].glob("checks/exercises/*.py")):
        text = path.read_text("utf-8")
        if any(f'"{name}"' in text for name in exercises):
            found.add(f"autograder.checks.exercises.{path.stem}")
    waiting = list(found)
    while waiting:
        new = {name for name in _imports(waiting.pop()) if _file(name)} - found
        found |= new
        waiting += new
    return [_digest(file.read_bytes()) for name in sorted(found) if (file := _file(name))]


def _file(module: str) -> Path | None:
    """The file of one of our modules; `None` if we have no module of this name."""
    package, _, rest = module.partition(".")
    if package not in PACKAGES:
        return None
    path = PACKAGES[package].joinpath(*rest.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((one for one in candidates if one.is_file()), None)


def _imports(module: str) -> set[str]:
    """What a module may import: of `from a import b`, both `a` and `a.b`."""
    names: set[str] = set()
    file = _file(module)
    for node in ast.walk(ast.parse(file.read_text("utf-8") if file else "")):
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
    return names
