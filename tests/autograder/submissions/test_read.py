import json
import os
import random
from collections import Counter
from copy import deepcopy

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from autograder.errors import CourseError
from autograder.submissions.read import read
from tests.autograder.submissions.test_repair import ANSWER, RELEASE, code

RELEASED = {"1_first": RELEASE, "2_second": RELEASE[2:]}
CELLS = [code(ANSWER, "f_answer"), code("", "f"), code("", "g_answer"), code("", "g")]


@pytest.fixture
def folder(tmp_path):
    """A complete submission, for tests to change and break."""
    nbformat.write(new_notebook(cells=CELLS), tmp_path / "1_first.ipynb")
    nbformat.write(new_notebook(cells=CELLS[2:]), tmp_path / "2_second.ipynb")
    return tmp_path


def answer(submission, name="1_first"):
    cells = {
        cell.metadata.get("nbgrader", {}).get("grade_id"): cell
        for cell in submission.notebooks[name].cells
    }
    return cells["f_answer"].source


def test_a_complete_submission_is_read_without_remarks(folder):
    submission = read(folder, RELEASED)
    assert list(submission.notebooks) == ["1_first", "2_second"]
    assert submission.remarks == []
    assert answer(submission) == ANSWER


def test_a_missing_notebook_is_named(folder):
    (folder / "2_second.ipynb").unlink()
    assert read(folder, RELEASED).remarks == ["Missing, so without marks: 2_second.ipynb."]


def test_a_renamed_notebook_is_recognized_by_its_cells(folder):
    (folder / "1_first.ipynb").rename(folder / "1_first (1).ipynb")
    submission = read(folder, RELEASED)
    assert answer(submission) == ANSWER
    assert submission.remarks == ["1_first (1).ipynb was read as 1_first.ipynb."]
    assert "was read as" in submission.notebooks["1_first"].cells[0].source


def test_two_candidates_for_the_same_notebook_are_refused(folder):
    text = (folder / "1_first.ipynb").read_text()
    (folder / "1_first.ipynb").rename(folder / "a.ipynb")
    (folder / "b.ipynb").write_text(text)
    with pytest.raises(CourseError, match=r"a.ipynb and b.ipynb .* both look like 1_first.ipynb"):
        read(folder, RELEASED)


def test_a_byte_order_mark_is_accepted(folder):
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


def test_a_notebook_for_another_kernel_is_reported(folder):
    notebook = new_notebook(cells=CELLS)
    notebook.metadata.kernelspec = {"name": "ir", "language": "R", "display_name": "R"}
    nbformat.write(notebook, folder / "1_first.ipynb")
    report = read(folder, RELEASED).notebooks["1_first"].cells[0].source
    assert "saved for a kernel of R; it is graded with Python" in report


def test_submitted_outputs_are_removed(folder):
    cells = [
        new_code_cell("5", outputs=[nbformat.v4.new_output("execute_result", {"text/plain": "5"})]),
        *CELLS,
    ]
    nbformat.write(new_notebook(cells=cells), folder / "1_first.ipynb")
    assert all(cell.outputs == [] for cell in read(folder, RELEASED).notebooks["1_first"].cells)


def change(folder, **top):
    """Changes top-level fields of a notebook's JSON; for cells, a function gets the list."""
    path = folder / "1_first.ipynb"
    data = json.loads(path.read_text())
    if callable(top.get("cells")):
        top.pop("cells")(data["cells"])
    path.write_text(json.dumps(data | top))
    return path


@pytest.mark.parametrize("place", [0, 1], ids=["answer", "ordinary cell"])
def test_lone_surrogates_are_replaced_and_reported(folder, place):
    def write(cells):
        cells[0]["source"] = ANSWER + "  # \ud83d\ude00"
        cells.insert(1, {"cell_type": "markdown", "metadata": {}, "source": "fine"})
        cells[place]["source"] += " \ud800"

    change(folder, cells=write)
    submission = read(folder, RELEASED)
    text = nbformat.writes(submission.notebooks["1_first"]).encode()
    assert answer(submission).startswith(ANSWER + "  # \N{GRINNING FACE}")
    [remark] = submission.remarks
    assert remark.startswith(f"1_first.ipynb: Cell {place + 1} had characters that cannot be saved")
    assert remark.partition(": ")[2].encode() in text


WRONG = [
    None,
    7,
    True,
    "text",
    ["list"],
    {"a": None},
    {"name": {}},
    [[]],
    "\ud800",
    {"\ud800": 1},
]


@pytest.mark.parametrize("wrong", WRONG, ids=ascii)
def test_of_fields_of_wrong_types_only_the_answer_is_kept(folder, wrong):
    metadata = {"tags": wrong, "jupyter": wrong, "nbgrader": {"grade_id": "f_answer"}}
    picture = {"cell_type": "markdown", "source": "![](a)", "metadata": {}, "id": wrong}

    def write(cells):
        for cell in cells:
            cell |= {"outputs": wrong, "execution_count": wrong, "id": wrong, "more": wrong}
        cells[0]["metadata"] = metadata
        cells[1]["metadata"] |= {"nbgrader": wrong}
        cells[2]["metadata"] = wrong
        for attachments in (wrong, {"a": wrong}, {"a": {"image/png": wrong}}):
            cells.append({**picture, "attachments": attachments})

    change(folder, cells=write, nbformat_minor=wrong, more=wrong)
    for about in (wrong, {"kernelspec": wrong, "language_info": wrong, "title": wrong},
                  {"kernelspec": {"language": wrong}}):  # fmt: skip
        change(folder, metadata=about)
        submission = read(folder, RELEASED)
        assert answer(submission) == ANSWER
        nbformat.validate(submission.notebooks["1_first"])
        nbformat.writes(submission.notebooks["1_first"]).encode()


@pytest.mark.parametrize("wrong", WRONG, ids=ascii)
@pytest.mark.parametrize("key", ["source", "cell_type", "cells", "nbformat", "worksheets"])
def test_what_cannot_be_understood_is_refused(folder, key, wrong):
    if key in ("source", "cell_type"):
        path = change(folder, cells=lambda cells: cells[1].update({key: wrong}))
    else:
        path = change(folder, **{"nbformat": 3} if key == "worksheets" else {}, **{key: wrong})
    if key == "source" and wrong in ("text", ["list"], "\ud800"):
        assert read(folder, RELEASED)
        return
    with pytest.raises(CourseError) as caught:
        read(folder, RELEASED)
    assert str(caught.value).startswith(str(path))
    str(caught.value).encode()


def test_random_changes_end_in_a_submission_or_a_courseerror(folder):
    path = folder / "1_first.ipynb"
    whole = json.loads(path.read_text())
    generator = random.Random(0)
    ends = Counter()
    for _ in range(300):
        data = deepcopy(whole)
        for _ in range(generator.randint(1, 3)):
            spot = data
            while isinstance(spot, dict | list) and spot:
                keys = list(spot) if isinstance(spot, dict) else range(len(spot))
                parent, key = spot, generator.choice(keys)
                spot = parent[key]
                if generator.random() < 0.3:
                    break
            parent[key] = deepcopy(generator.choice(WRONG))
        path.write_text(json.dumps(data))
        try:
            for notebook in read(folder, RELEASED).notebooks.values():
                nbformat.validate(notebook)
                nbformat.writes(notebook).encode()
            ends["read"] += 1
        except CourseError as error:
            ends["refused" if str(path) in str(error) else str(error)] += 1
    assert set(ends) == {"read", "refused"}


def test_a_file_without_permission_to_read_is_named_with_what_to_do(folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(CourseError, match=r"1_first.ipynb cannot be read .*chmod"):
        read(folder, RELEASED)


def test_a_damaged_extra_notebook_is_ignored(folder):
    (folder / "scratch.ipynb").write_text("{")
    assert read(folder, RELEASED).remarks == []


def test_a_notebook_with_too_much_text_is_refused(folder):
    change(folder, cells=lambda cells: cells[0].update(source="x = 1\n" * 10**6))
    with pytest.raises(CourseError, match=r"characters in its cells, more than"):
        read(folder, RELEASED)


DAMAGED = {
    "empty": ("", "it is empty"),
    "half": ('{"cells": [', "upload it again"),
    "no text": ("\udc80\udcff", "upload it again"),
    "a number": ("7", "upload it again"),
    "of the future": ('{"nbformat": 5, "cells": []}', "save it as format 4"),
    "without cells": ('{"nbformat": 4}', "upload it again"),
    "a cell that is a number": (
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [7]}',
        "not a valid notebook",
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


def test_a_folder_in_place_of_a_notebook_is_named(folder):
    (folder / "1_first.ipynb").unlink()
    (folder / "1_first.ipynb").mkdir()
    with pytest.raises(CourseError, match="is a folder, not a notebook"):
        read(folder, RELEASED)


@pytest.mark.parametrize("name", ["1_first.ipynb", "data.npz"])
def test_a_link_is_not_followed(folder, name):
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to("/etc/passwd")
    with pytest.raises(CourseError, match="is a link to /etc/passwd, which is not followed"):
        read(folder, RELEASED)


def test_a_student_folder_that_is_a_link_is_not_followed(folder, tmp_path_factory):
    link = tmp_path_factory.mktemp("submitted") / "ada"
    link.symlink_to(folder.parent)
    with pytest.raises(CourseError, match="is a link to"):
        read(link / folder.name, RELEASED)


def test_a_name_that_is_not_text_is_named(folder):
    (folder / os.fsdecode(b"notes \xff.txt")).touch()
    with pytest.raises(CourseError, match=r"notes \?.txt has bytes that are not text") as caught:
        read(folder, RELEASED)
    str(caught.value).encode()


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "assignment2").write_text("PK")
    with pytest.raises(CourseError, match=r"assignment2 is a file, not a folder: make a folder"):
        read(tmp_path / "assignment2", RELEASED)


def test_a_file_in_place_of_the_student_folder_is_named(tmp_path):
    (tmp_path / "ada.zip").touch()
    with pytest.raises(CourseError, match=r"ada.zip is a file: put .*STUDENT/assignment2/"):
        read(tmp_path / "ada.zip" / "assignment2", RELEASED)


def test_a_student_folder_without_the_assignment_is_named(tmp_path):
    with pytest.raises(CourseError, match=r"There is no .*assignment2 \(.* holds nothing"):
        read(tmp_path / "assignment2", RELEASED)


def test_a_folder_without_any_notebook_is_named(tmp_path):
    (tmp_path / "essay.pdf").touch()
    with pytest.raises(CourseError, match=r"holds essay.pdf, but none of 1_first.ipynb, 2_second"):
        read(tmp_path, RELEASED)


def test_an_invalid_timestamp_is_named(folder):
    (folder / "timestamp.txt").write_text("yesterday")
    with pytest.raises(CourseError, match="does not hold a time"):
        read(folder, RELEASED)
