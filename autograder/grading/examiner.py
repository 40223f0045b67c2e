"""Runs a test cell on the trusted side, where a student's functions and classes are proxies."""

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

# The file name with which a test cell is compiled.
FILE_NAME = "<test cell>"


class ExaminerError(Exception):
    """A test cell itself failed, so that it cannot mark an answer."""


@dataclass(frozen=True)
class Examination:
    """What a test cell printed, and the marks that it gave."""

    text: str
    marks: float


def examine(
    source: str, student: StudentProcess, written: StudentSource | None = None
) -> Examination:
    """Run a test cell, whose last line is an expression: its marks.

    Args:
        source: the text of the test cell.
        student: the process in which the student's cells ran.
        written: the text of these cells.

    Raises:
        ExaminerError: the cell fails, or its last line is not a number.
        StudentEnded: the student's process has ended.
    """
    body = ast.parse(source).body
    if not body or not isinstance(body[-1], ast.Expr):
        raise ExaminerError("the test cell does not end with its marks")
    last = ast.Expression(body.pop().value)  # type: ignore[attr-defined]
    space: dict[str, Any] = {"__name__": "examiner"}
    printed = StringIO()
    asked = _asked(source)
    written = written or StudentSource()
    try:
        defined = {name for name in asked if has(student, name)}
        space |= {name: RemoteAnswer(student, name, written) for name in defined}
        with redirect_stdout(printed):
            exec(compile(ast.Module(body, []), FILE_NAME, "exec"), space)
            marks = eval(compile(last, FILE_NAME, "eval"), space)
    except StudentEnded:
        raise
    except StudentError as error:
        return Examination(f"- {one_line(str(error))}\n", 0.0)
    except NameError as error:
        if error.name in asked - defined and _raised_in(error) == FILE_NAME:
            return Examination(f"- {error.name} is not defined.\n", 0.0)
        raise ExaminerError(f"{type(error).__name__}: {error}") from error
    except Exception as error:
        raise ExaminerError(f"{type(error).__name__}: {error}") from error
    if type(marks) not in (int, float):
        raise ExaminerError(f"the test cell gives a {type(marks).__name__} for marks")
    return Examination(printed.getvalue(), float(marks))


def _raised_in(error: Exception) -> str:
    """The file in which an error was raised."""
    return traceback.extract_tb(error.__traceback__)[-1].filename


def _asked(source: str) -> set[str]:
    """The names that a cell reads and that it does not define; built-in names do not count."""
    names = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)]
    stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return {node.id for node in names} - stored - set(dir(builtins))
