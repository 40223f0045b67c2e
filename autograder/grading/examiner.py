"""Runs a test cell on the trusted side; what the student defined appears as remote answers."""

import ast
import builtins
import traceback
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

from autograder.checks.static_analysis import StudentSource
from autograder.checks.student import StudentError
from autograder.checks.verdict import one_line
from autograder.sandbox.remote import RemoteAnswer, has
from autograder.sandbox.results import StudentEnded
from autograder.sandbox.student_process import StudentProcess

# The file that a test cell's code says it is from.
TEST = "<test cell>"


class ExaminerError(Exception):
    """A test cell failed by its own fault; nobody is marked by it."""


@dataclass(frozen=True)
class Examination:
    """What a test cell printed, and the marks that it gave."""

    text: str
    marks: float


def examine(
    source: str, student: StudentProcess, written: StudentSource | None = None
) -> Examination:
    """Run a test cell, whose last line is its marks.

    Args:
        source: of the test cell.
        student: the process in which the student's cells ran.
        written: those cells.

    Raises:
        ExaminerError: the cell fails, or gives no marks.
        StudentEnded: the student's process is gone.
    """
    body = ast.parse(source).body
    if not body or not isinstance(body[-1], ast.Expr):
        raise ExaminerError("the test cell does not end with its marks")
    last = ast.Expression(body.pop().value)  # type: ignore[attr-defined]
    space: dict[str, Any] = {"__name__": "examiner"}
    said = StringIO()
    asked = _asked(source)
    written = written or StudentSource()
    try:
        defined = {name for name in asked if has(student, name)}
        space |= {name: RemoteAnswer(student, name, written) for name in defined}
        with redirect_stdout(said):
            exec(compile(ast.Module(body, []), TEST, "exec"), space)
            marks = eval(compile(last, TEST, "eval"), space)
    except StudentEnded:
        raise
    except StudentError as error:
        return Examination(f"- {one_line(str(error))}\n", 0.0)
    except NameError as error:
        if error.name in asked - defined and _raised_in(error) == TEST:
            return Examination(f"- {error.name} is not defined.\n", 0.0)
        raise ExaminerError(f"{type(error).__name__}: {error}") from error
    except Exception as error:
        raise ExaminerError(f"{type(error).__name__}: {error}") from error
    if type(marks) not in (int, float):
        raise ExaminerError(f"the test cell gives a {type(marks).__name__} for marks")
    return Examination(said.getvalue(), float(marks))


def _raised_in(error: Exception) -> str:
    """The file in which an error was raised."""
    return traceback.extract_tb(error.__traceback__)[-1].filename


def _asked(source: str) -> set[str]:
    """The names that a cell reads and that are neither built in nor its own."""
    names = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)]
    stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return {node.id for node in names} - stored - set(dir(builtins))
