"""Create the skeleton of a new exercise: its cells, its hidden tests and its bank.

Everything that an author still has to write is marked `WRITE ME`. A notebook with this mark cannot
be released.
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
    """What students write: a class of modules, or a function."""

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
    """Append cells to a source notebook, and write a check and a bank.

    Args:
        course: the course.
        assignment: the name of the assignment.
        name: the name of the exercise, such as "channel_shuffle".
        notebook: the number of the notebook.
        kind: what students write.
        points: the points of the exercise.
        package: the folder of the package `autograder`.

    Returns:
        The paths of the files.

    Raises:
        CourseError: the name is invalid or taken, or there are no points or no such notebook.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise CourseError(
            f"{name} is not a valid name for an exercise: use a name like channel_shuffle."
        )
    if points < 1:
        raise CourseError(f"{points} points are too few: an exercise needs 1 or more.")
    books = {path.name.partition("_")[0]: path for path in course.notebooks(assignment)}
    if str(notebook) not in books:
        raise CourseError(f"There is no notebook {notebook}. Choose one of: {', '.join(books)}.")
    path = books[str(notebook)]
    check = package / "checks" / "exercises" / f"{name}.py"
    bank = package / "authoring" / "mutants" / f"{name}.toml"
    contents = [read_notebook(book) for book in books.values()]
    ids = {cell.get("id") for content in contents for cell in content["cells"]}
    cells = _cells(name, kind, points)
    if name in EXERCISES or ids & {cell["id"] for cell in cells} or check.exists() or bank.exists():
        raise CourseError(f"{name} exists already: choose another name.")

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
    # The shares of shapes, parameters, values, gradients and modes in the points of a block.
    shares = ", ".join(f"{points * share:g}" for share in (0.1, 0.2, 0.4, 0.15, 0.15))
    words = {"name": name, "upper": name.upper(), "points": str(points), "shares": shares}
    return Template(template).substitute(words, class_name=_class_name(name)).lstrip("\n")


def _class_name(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _cells(name: str, kind: Kind, points: int) -> list[dict[str, Any]]:
    answer = _class_name(name) if kind is Kind.BLOCK else name
    test = f'check("{name}", {answer}).report()'
    hidden = f"# {points} points: hidden tests of {answer}. Nothing happens here.\n{HIDDEN}"
    return [
        {
            "cell_type": "markdown",
            "id": f"{name}_text",
            "metadata": {},
            "source": f"## Exercise: {answer}\n\nWRITE ME: what to write, as a table. "
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
"""Hidden tests of $class_name (WRITE ME: slides)."""

from torch import nn

from autograder.checks.blocks import BlockExercise, case
from autograder.errors import CourseError


def _$name(in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
    raise CourseError("checks/exercises/$name.py, WRITE ME: the reference block.")


$upper = BlockExercise(
    "$name",
    "$class_name",
    (case(5, 5), case(4, 6), case(5, 5, stride=2), case(3, 8, stride=2)),
    ($shares),
    references=(_$name,),
    mistakes=(),  # WRITE ME: common mistakes, each with its sentence
)

EXERCISES = ($upper,)
''',
    Kind.FUNCTION: '''
"""Hidden tests of $name (WRITE ME: slides)."""

import torch
from torch import Generator, Tensor

from autograder.checks.functions import Call, FunctionExercise
from autograder.errors import CourseError


def _$name(x: Tensor) -> Tensor:
    raise CourseError("checks/exercises/$name.py, WRITE ME: the reference function.")


def _calls(generator: Generator) -> list[Call]:
    x = torch.randn(3, 4, 5, generator=generator, dtype=torch.float64)
    return [Call("values", (x,)), Call("values", (x[0],))]


$upper = FunctionExercise(
    "$name",
    "$name",
    _$name,
    _calls,
    {"values": $points},
    mistakes=(),  # WRITE ME: common mistakes, each with its sentence
)

EXERCISES = ($upper,)
''',
}

BANK = """
# WRITE ME: correct and wrong answers to $name: changes of the answer in the source notebook, or
# complete answers. At least 3 correct and 6 wrong ones for a block, 2 and 3 for a function.
#
# [[variant]]
# name = "a short description"
# replace = [{ old = "text of the answer", new = "other text" }]
#
# [[mutant]]
# name = "what is wrong with it"
# says = "words of the sentence that explains the mistake"
# least = 0.5  # the fraction of the marks that a nearly correct answer keeps
# source = '''
# a complete answer
# '''
"""
