import random
from io import StringIO
from itertools import product

import pytest
from copydetect import CodeFingerprint, compare_files
from nbformat import write
from nbformat.v4 import new_code_cell, new_notebook

from autograder.results.similar import TOKENS, WINDOW, overlaps, similar
from tests.autograder.conftest import ASSIGNMENT

LINES = [
    "x = torch.relu(self.first(x) + y[1:, ::2].mean(0))",
    "for size, step in zip(sizes, [1, 2, 2, 2], strict=True): widths.append(size * step)",
    "return {name: value.item() for name, value in found.items() if value > 0.5}",
    "assert x.shape == (batch, channels, 7, 7) and not x.isnan().any(), 'a wrong shape'",
    "while left >= 0 and (right := left // 3) != 7: left, total = right - 1, total ** 2 % 11",
    "self.layers = nn.Sequential(*[nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8)] * 4)",
    "with torch.no_grad(): mask = (x @ x.mT).softmax(-1)[..., None, :] < threshold[0]",
]


def fingerprint(text):
    return CodeFingerprint("answers.py", TOKENS, WINDOW, fp=StringIO(text))


def test_overlaps_are_those_of_copydetect():
    chance = random.Random(0)
    prints = [fingerprint("\n".join(chance.choices(LINES, k=12))) for _ in range(15)]
    prints += [fingerprint(""), fingerprint("x = 1"), prints[0]]
    found = overlaps(prints)
    for (row, one), (column, other) in product(enumerate(prints), repeat=2):
        if row != column:
            assert found[row, column] == compare_files(one, other)[0]
    assert len(set(found.flat)) > 20


@pytest.mark.parametrize("students", [0, 1])
def test_a_class_of_none_or_one_has_no_pairs(course, students):
    for number in range(students):
        submit(course, f"student{number}", LINES)
    assert similar(course, ASSIGNMENT).empty


def test_only_students_with_the_same_answers_are_listed(course):
    for student, lines in {"ada": LINES, "bob": LINES[:2], "eve": LINES}.items():
        submit(course, student, lines)
    renamed = [line.replace("x", "other") + "  # mine" for line in LINES]
    submit(course, "zoe", renamed)
    listed = similar(course, ASSIGNMENT).to_numpy().tolist()
    assert listed[0] == ["ada", "eve", 1, 1]
    assert {*map(tuple, (pair[:2] for pair in listed))} == {
        ("ada", "eve"),
        ("ada", "zoe"),
        ("eve", "zoe"),
    }


def test_only_the_start_of_endless_answers_is_read(course):
    submit(course, "ada", LINES * 20_000)
    assert similar(course, ASSIGNMENT).empty


def submit(course, student, lines):
    cell = new_code_cell("\n".join(lines))
    cell.metadata["nbgrader"] = {"solution": True, "grade_id": "f_answer"}
    folder = course.root / "autograded" / student / ASSIGNMENT
    folder.mkdir(parents=True)
    write(new_notebook(cells=[cell]), folder / "1.ipynb")
