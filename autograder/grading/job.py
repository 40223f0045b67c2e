"""What grading one notebook takes and gives; `autograder.grading.run_job` does it.

A `Job` holds all that decides the marks, and its `key` names it: the same key, the same marks.
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
# An output by this name marks a test that failed by its own fault; no student code can show it.
EXAMINER_ERROR = "ExaminerError"
# Where the code lies that decides marks.
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
        exercise: that it marks, if it is a test cell.
        answers: whether the student was to write in it.
        untouched: whether it is an answer as it was handed out.
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
        files: what lies beside it, by name.
        limits: what it may use.
        secret: of the release; it decides the inputs of the tests.
        walls: whether student code is walled in; without, it is trusted.
    """

    cells: tuple[Cell, ...]
    files: Mapping[str, bytes]
    limits: Limits
    secret: str
    walls: bool = True

    @property
    def digests(self) -> dict[str, str]:
        """Of its files, by name."""
        return {name: _file_digest(content) for name, content in self.files.items()}

    @property
    def key(self) -> str:
        """The same for all that must get the same marks; other software gets another one."""
        exercises = sorted({cell.exercise for cell in self.cells if cell.exercise})
        decides = [
            [asdict(cell) for cell in self.cells],
            sorted(self.digests.items()),
            asdict(self.limits),
            self.secret,
            self.walls,
            _code_behind(tuple(exercises)),
            versions(),
        ]
        return _digest(json.dumps(decides).encode())


@dataclass(frozen=True)
class Finding:
    """What became of an exercise.

    Args:
        state: how its grading ended.
        marks: `None` where a person must look, never silently.
        sentence: for the student; "" where the test's own text says it.
        seed: of the test's inputs.
    """

    state: State
    marks: float | None
    sentence: str
    seed: int


@dataclass(frozen=True)
class Result:
    """What came of a job.

    Args:
        outputs: of each cell, in nbformat's form.
        findings: by exercise.
        seconds: that it took, on the clock.
    """

    outputs: list[list[Output]]
    findings: dict[str, Finding] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def failed_by_fault(self) -> bool:
        """Whether a test failed by its own fault, so that a person must look."""
        return any(one.state is State.EXAMINER_ERROR for one in self.findings.values())

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Result":
        return cls(data["outputs"], findings_from_json(data["findings"]), data["seconds"])


def findings_from_json(data: Mapping[str, Any]) -> dict[str, Finding]:
    """What became of exercises, as `Result.to_json` and the history write it."""
    return {
        name: Finding(State(one["state"]), one["marks"], one["sentence"], one["seed"])
        for name, one in data.items()
    }


@cache
def versions() -> Mapping[str, str]:
    """Of the software that decides marks."""
    packages = ("numpy", "torch", "torchvision")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@lru_cache(32)
def _file_digest(content: bytes) -> str:
    """The same bytes lie beside all notebooks of a class."""
    return _digest(content)


@cache
def _code_behind(exercises: tuple[str, ...]) -> list[str]:
    """Digests of our files that decide the marks of some exercises, found by their imports."""
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
    """Where a module of ours lies; nowhere if there is none by this name."""
    package, _, rest = module.partition(".")
    if package not in PACKAGES:
        return None
    path = PACKAGES[package].joinpath(*rest.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((one for one in candidates if one.is_file()), None)


def _imports(module: str) -> set[str]:
    """Every name that a module's text imports, and what it may be the submodule of."""
    names: set[str] = set()
    file = _file(module)
    for node in ast.walk(ast.parse(file.read_text("utf-8") if file else "")):
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
    return names
