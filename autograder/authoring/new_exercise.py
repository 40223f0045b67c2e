"""The skeleton of another exercise: its cells, its hidden tests and its bank, to be written.

What must still be written says `WRITE ME`; nothing that says so can be released.
"""

import json
import keyword
import re
from enum import StrEnum
from pathlib import Path
from string import Template
from typing import Any

from autograder.checks import EXERCISES
from autograder.course.folder import Course, atomic_write, read_notebook
from autograder.errors import CourseError

PACKAGE = Path(__file__).parents[1]


class Kind(StrEnum):
    """What students write: a class that is a module, or a function."""

    BLOCK = "block"
    FUNCTION = "function"


def new_exercise(
    course: Course,
    assignment: str,
    name: str,
    notebook: int,
    kind: Kind,
    points: int = 5,
    package: Path = PACKAGE,
) -> list[Path]:
    """Append cells to the source notebook, and write a check and a bank; returns the files.

    Raises:
        CourseError: the name will not do or is taken, or there is no such notebook.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise CourseError(f"{name} is no name for an exercise: write it like channel_shuffle.")
    if points < 1:
        raise CourseError(f"{points} points are too few: give an exercise 1 or more.")
    books = {path.name.partition("_")[0]: path for path in course.notebooks(assignment)}
    if str(notebook) not in books:
        raise CourseError(f"There is no notebook {notebook}. There is: {', '.join(books)}.")
    path = books[str(notebook)]
    check = package / "checks" / "exercises" / f"{name}.py"
    bank = package / "authoring" / "mutants" / f"{name}.toml"
    contents = [read_notebook(book) for book in books.values()]
    ids = {cell.get("id") for content in contents for cell in content["cells"]}
    cells = _cells(name, kind, points)
    if name in EXERCISES or ids & {cell["id"] for cell in cells} or check.exists() or bank.exists():
        raise CourseError(f"There is {name} already: choose another name.")

    content = read_notebook(path)
    at_end = content["cells"] and content["cells"][-1].get("id") == "end"
    place = len(content["cells"]) - bool(at_end)
    content["cells"][place:place] = cells
    texts = {
        path: json.dumps(content, indent=1, ensure_ascii=False) + "\n",
        check: _filled(CHECKS[kind], name, points),
        bank: _filled(BANK, name, points),
    }
    for target, text in texts.items():
        with atomic_write(target) as temporary:
            temporary.write_text(text, "utf-8")
    return list(texts)


def _filled(template: str, name: str, points: int) -> str:
    # A block's points go to shapes, parameters, values, gradients and modes.
    shares = ", ".join(f"{points * share:g}" for share in (0.1, 0.2, 0.4, 0.15, 0.15))
    words = {"name": name, "upper": name.upper(), "points": str(points), "shares": shares}
    return Template(template).substitute(words, class_name=_class_name(name)).lstrip("\n")


def _class_name(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _cells(name: str, kind: Kind, points: int) -> list[dict[str, Any]]:
    answer = _class_name(name) if kind is Kind.BLOCK else name
    test = f'check("{name}", {answer}).report()'
    hidden = f"# {points} points: hidden tests of {answer}. Here nothing happens.\n{HIDDEN}"
    return [
        {
            "cell_type": "markdown",
            "id": f"{name}_text",
            "metadata": {},
            "source": f"## Exercise: {answer}\n\nWRITE ME: the contract, as a table. "
            f"**{points} points.**",
        },
        _code(f"{name}_answer", _filled(ANSWERS[kind], name, points), solution=True),
        _code(
            f"{name}_visible", f'raise NotImplementedError("WRITE ME: visible tests of {answer}")'
        ),
        _code(name, Template(hidden).substitute(test=test), grade=True, points=points),
    ]


def _code(id_: str, source: str, *, solution: bool = False, **graded: Any) -> dict[str, Any]:
    about = {"grade": False, "grade_id": id_, "locked": not solution, "schema_version": 3}
    about |= {"solution": solution, "task": False, **graded}
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": id_,
        "metadata": {"nbgrader": about},
        "outputs": [],
        "source": source.strip().splitlines(keepends=True),
    }


HIDDEN = """\
### BEGIN HIDDEN TESTS
from autograder.checks import check

$test
### END HIDDEN TESTS"""

ANSWERS = {
    Kind.BLOCK: '''
class $class_name(nn.Module):
    """WRITE ME: what it computes.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))
    """

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        ### BEGIN SOLUTION
        raise NotImplementedError("WRITE ME")
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        raise NotImplementedError("WRITE ME")
        ### END SOLUTION
''',
    Kind.FUNCTION: '''
def $name(x):
    """WRITE ME: what it computes, and the shapes."""
    ### BEGIN SOLUTION
    raise NotImplementedError("WRITE ME")
    ### END SOLUTION
''',
}

CHECKS = {
    Kind.BLOCK: '''
"""Hidden tests of $class_name. WRITE ME: which slides it is about."""

from torch import nn

from autograder.checks.blocks import BlockExercise, case
from autograder.errors import CourseError


def _$name(in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
    raise CourseError("checks/exercises/$name.py, WRITE ME: the right block.")


$upper = BlockExercise(
    "$name",
    "$class_name",
    (case(5, 5), case(4, 6), case(5, 5, stride=2), case(3, 8, stride=2)),
    ($shares),
    references=(_$name,),
    mistakes=(),  # WRITE ME: what students often write instead, each with its sentence
)

EXERCISES = ($upper,)
''',
    Kind.FUNCTION: '''
"""Hidden tests of $name. WRITE ME: which slides it is about."""

import torch
from torch import Generator, Tensor

from autograder.checks.functions import Call, FunctionExercise
from autograder.errors import CourseError


def _$name(x: Tensor) -> Tensor:
    raise CourseError("checks/exercises/$name.py, WRITE ME: the right function.")


def _calls(generator: Generator) -> list[Call]:
    x = torch.randn(3, 4, 5, generator=generator, dtype=torch.float64)
    return [Call("values", (x,)), Call("values", (x[0],))]


$upper = FunctionExercise(
    "$name",
    "$name",
    _$name,
    _calls,
    {"values": $points},
    slips=(),  # WRITE ME: what students often write instead, each with its sentence
)

EXERCISES = ($upper,)
''',
}

BANK = """
# WRITE ME: right and wrong answers to $name, as changes of the answer in the source notebook or as
# answers of their own. At least 3 right and 6 wrong ones for a block, 2 and 3 for a function.
#
# [[variant]]
# name = "what is special about it"
# replace = [{ old = "text of the answer", new = "other text" }]
#
# [[mutant]]
# name = "what is wrong with it"
# says = "words of the sentence that it must be told"
# least = 0.5  # the share of the marks that a nearly right answer keeps
# source = '''
# an answer of its own
# '''
"""
