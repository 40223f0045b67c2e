"""Runs a test cell on the trusted side; what the student defined appears as remote answers."""

import ast
import builtins
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

from autograder.checks.student import StudentError
from autograder.sandbox.remote import RemoteAnswer
from autograder.sandbox.results import StudentEnded
from autograder.sandbox.submission import Student


class ExaminerError(Exception):
    """A test cell failed by its own fault; nobody is marked by it."""


@dataclass(frozen=True)
class Examined:
    """What a test cell printed, and the marks that it gave."""

    text: str
    marks: float


def examine(source: str, student: Student) -> Examined:
    """Run a test cell, whose last line is its marks.

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
    try:
        space |= {name: RemoteAnswer(student, name) for name in _asked(source) if student.has(name)}
        with redirect_stdout(said):
            exec(compile(ast.Module(body, []), "<test cell>", "exec"), space)
            marks = eval(compile(last, "<test cell>", "eval"), space)
    except StudentEnded:
        raise
    except NameError as error:
        return Examined(f"- {error.name} is not defined.\n", 0.0)
    except StudentError as error:
        return Examined(f"- {error}\n", 0.0)
    except Exception as error:
        raise ExaminerError(f"{type(error).__name__}: {error}") from error
    if type(marks) not in (int, float):
        raise ExaminerError(f"the test cell gives a {type(marks).__name__} for marks")
    return Examined(said.getvalue(), float(marks))


def _asked(source: str) -> set[str]:
    """The names that a cell reads and that are neither built in nor its own."""
    names = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)]
    stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return {node.id for node in names} - stored - set(dir(builtins))
