import json
from copy import deepcopy

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from autograder.errors import CourseError
from autograder.handin import read
from tests.autograder.test_repair import ANSWER, RELEASE, code

RELEASED = {"1_first": RELEASE, "2_second": RELEASE[2:]}
CELLS = [code(ANSWER, "f_answer"), code("", "f"), code("", "g_answer"), code("", "g")]


@pytest.fixture
def folder(tmp_path):
    """A whole hand-in, to change and break."""
    nbformat.write(new_notebook(cells=CELLS), tmp_path / "1_first.ipynb")
    nbformat.write(new_notebook(cells=CELLS[2:]), tmp_path / "2_second.ipynb")
    return tmp_path


def answer(hand_in, name="1_first"):
    cells = {
        cell.metadata.get("nbgrader", {}).get("grade_id"): cell
        for cell in hand_in.notebooks[name].cells
    }
    return cells["f_answer"].source


def test_a_whole_hand_in_is_read_without_remarks(folder):
    hand_in = read(folder, RELEASED)
    assert list(hand_in.notebooks) == ["1_first", "2_second"]
    assert hand_in.remarks == []
    assert answer(hand_in) == ANSWER


def test_what_is_not_handed_in_is_named(folder):
    (folder / "2_second.ipynb").unlink()
    assert read(folder, RELEASED).remarks == ["2_second.ipynb is not handed in and earns 0."]


def test_a_renamed_notebook_is_known_by_its_cells(folder):
    (folder / "1_first.ipynb").rename(folder / "1_first (1).ipynb")
    hand_in = read(folder, RELEASED)
    assert answer(hand_in) == ANSWER
    assert hand_in.remarks == ["1_first (1).ipynb was read as 1_first.ipynb."]
    assert "was read as" in hand_in.notebooks["1_first"].cells[0].source


def test_two_that_look_like_the_same_are_for_a_person(folder):
    text = (folder / "1_first.ipynb").read_text()
    (folder / "1_first.ipynb").rename(folder / "a.ipynb")
    (folder / "b.ipynb").write_text(text)
    with pytest.raises(CourseError, match=r"a.ipynb and b.ipynb .* both look like 1_first.ipynb"):
        read(folder, RELEASED)


def test_a_byte_order_mark_is_forgiven(folder):
    path = folder / "1_first.ipynb"
    path.write_text(path.read_text(), "utf-8-sig")
    assert answer(read(folder, RELEASED)) == ANSWER


def test_notebooks_of_format_3_are_read(folder):
    old = nbformat.convert(new_notebook(cells=deepcopy(CELLS)), 3)
    (folder / "1_first.ipynb").write_text(nbformat.writes(old, version=3))
    assert answer(read(folder, RELEASED)) == ANSWER


def test_cells_without_an_id_are_read(folder):
    path = folder / "1_first.ipynb"
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        del cell["id"]
    path.write_text(json.dumps(notebook))
    assert answer(read(folder, RELEASED)) == ANSWER


def test_another_kernel_is_named(folder):
    notebook = new_notebook(cells=CELLS)
    notebook.metadata.kernelspec = {"name": "ir", "language": "R", "display_name": "R"}
    nbformat.write(notebook, folder / "1_first.ipynb")
    report = read(folder, RELEASED).notebooks["1_first"].cells[0].source
    assert "saved for a kernel of R; it is graded with Python" in report


def test_outputs_that_were_handed_in_are_gone(folder):
    cells = [
        new_code_cell("5", outputs=[nbformat.v4.new_output("execute_result", {"text/plain": "5"})]),
        *CELLS,
    ]
    nbformat.write(new_notebook(cells=cells), folder / "1_first.ipynb")
    assert all(cell.outputs == [] for cell in read(folder, RELEASED).notebooks["1_first"].cells)


DAMAGED = {
    "empty": ("", "it is empty"),
    "half": ('{"cells": [', "upload it again"),
    "no text": ("\udc80\udcff", "upload it again"),
    "a number": ("7", "upload it again"),
    "of the future": ('{"nbformat": 5, "cells": []}', "save it as format 4"),
    "without cells": ('{"nbformat": 4}', "upload it again"),
    "cells of nothing": (
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [7]}',
        "not a notebook",
    ),
    "deep": ('{"nbformat": ' + "[" * 100_000, "upload it again"),
    "a million cells": (json.dumps({"nbformat": 4, "cells": [{}] * 10**6}), "has 1000000 cells"),
}


@pytest.mark.parametrize(("text", "sentence"), DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_notebook_is_named_with_what_to_do(folder, text, sentence):
    path = folder / "1_first.ipynb"
    path.write_text(text, "utf-8", errors="surrogateescape")
    with pytest.raises(CourseError, match=sentence) as caught:
        read(folder, RELEASED)
    assert str(path) in str(caught.value)


def test_a_huge_notebook_is_not_read(folder):
    with (folder / "1_first.ipynb").open("wb") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(CourseError, match=r"has 65 MiB.*clear its outputs"):
        read(folder, RELEASED)


def test_a_folder_by_a_notebooks_name_is_said(folder):
    (folder / "1_first.ipynb").unlink()
    (folder / "1_first.ipynb").mkdir()
    with pytest.raises(CourseError, match="is a folder, not a notebook"):
        read(folder, RELEASED)


@pytest.mark.parametrize("name", ["1_first.ipynb", "data.npz"])
def test_a_link_is_not_followed(folder, name):
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to("/etc/passwd")
    with pytest.raises(CourseError, match="is a link to /etc/passwd; it was not followed"):
        read(folder, RELEASED)


def test_nothing_of_the_assignment_is_said(tmp_path):
    (tmp_path / "essay.pdf").touch()
    with pytest.raises(CourseError, match=r"holds essay.pdf, but none of 1_first.ipynb, 2_second"):
        read(tmp_path, RELEASED)


def test_a_time_that_is_none_is_said(folder):
    (folder / "timestamp.txt").write_text("yesterday")
    with pytest.raises(CourseError, match="holds no time"):
        read(folder, RELEASED)
