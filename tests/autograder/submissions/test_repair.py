import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.submissions.repair import ReleasedCell, repair

STARTER = "def f(x):\n    raise NotImplementedError"
ANSWER = "def f(x):\n    return x"


def released(name, source, *, is_answer=False, cell_type="code"):
    metadata = {
        "grade_id": name,
        "solution": is_answer,
        "locked": not is_answer,
        "grade": not is_answer,
    }
    if not is_answer:
        metadata["points"] = 2
    return ReleasedCell(name, cell_type, source, is_answer, metadata)


RELEASE = [
    released("f_answer", STARTER, is_answer=True),
    released("f", "# test"),
    released("g_answer", "def g(x): ...", is_answer=True),
    released("g", "# test g"),
]


def code(source, name=None, **more):
    cell = new_code_cell(source)
    if name is not None:
        cell.metadata["nbgrader"] = {"grade_id": name, **more}
    return cell


def handed_in(**changes):
    """A complete submission; each change replaces a cell by others."""
    cells = {
        "f_answer": [code(ANSWER, "f_answer")],
        "f": [code("# test", "f")],
        "g_answer": [code("def g(x): return 1", "g_answer")],
        "g": [code("# test g", "g")],
    }
    return new_notebook(cells=[cell for group in (cells | changes).values() for cell in group])


def shape(notebook):
    return [
        (cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source) for cell in notebook.cells
    ]


WHOLE = [
    ("f_answer", ANSWER),
    ("f", "# test"),
    ("g_answer", "def g(x): return 1"),
    ("g", "# test g"),
]


def test_a_complete_notebook_is_not_changed():
    notebook = handed_in()
    assert repair(notebook, RELEASE) == []
    assert shape(notebook) == WHOLE


def test_a_deleted_test_is_restored_in_its_place():
    notebook = handed_in(f=[])
    assert repair(notebook, RELEASE) == ["The cell f was missing and is restored."]
    assert shape(notebook) == WHOLE


def test_of_a_copied_answer_the_last_changed_copy_counts():
    notebook = handed_in(
        f_answer=[code(STARTER, "f_answer"), code(ANSWER, "f_answer"), code(STARTER, "f_answer")]
    )
    (sentence,) = repair(notebook, RELEASE)
    assert "f_answer occurs 3 times" in sentence
    assert [cell for cell in shape(notebook) if cell[0]] == WHOLE
    assert len(notebook.cells) == 6, "copies stay as ordinary cells"


@pytest.mark.parametrize("label", [None, "my_own_name"])
def test_an_answer_without_its_label_is_found_by_the_name_it_defines(label):
    notebook = handed_in(f_answer=[code(ANSWER, label)])
    assert repair(notebook, RELEASE) == ["The answer f_answer was found by the name it defines."]
    assert shape(notebook) == WHOLE


def test_one_cell_without_a_label_can_hold_two_answers():
    both = "def f(x): return x\ndef g(x): return 1"
    notebook = handed_in(f_answer=[code(both)], g_answer=[])
    assert all("was found by the name" in sentence for sentence in repair(notebook, RELEASE)[:2])
    assert shape(notebook) == [("f_answer", both), WHOLE[1], ("g_answer", both), WHOLE[3]]


def test_an_answer_in_a_markdown_cell_becomes_code_again():
    notebook = handed_in(f_answer=[new_markdown_cell(ANSWER)])
    notebook.cells[0].metadata["nbgrader"] = {"grade_id": "f_answer"}
    assert repair(notebook, RELEASE) == ["The cell f_answer was a markdown cell and is code again."]
    assert notebook.cells[0].cell_type == "code"
    assert shape(notebook) == WHOLE


def test_missing_and_repeated_ids_are_replaced():
    notebook = handed_in()
    ids = ["one", "one", None, "no id!"]
    for cell, name in zip(notebook.cells, ids, strict=True):
        cell["id"] = name or ""
    del notebook.cells[2]["id"]
    assert repair(notebook, RELEASE) == ["Cells without an id of their own got one (3)."]
    assert notebook.cells[0].id == "one"
    assert len({cell.id for cell in notebook.cells}) == 4


def test_a_huge_cell_is_not_searched_for_answers():
    notebook = handed_in(f_answer=[code(ANSWER + "\n#" + "x" * 200_000)])
    assert "f_answer was missing" in repair(notebook, RELEASE)[0]


def test_moved_cells_are_moved_back_with_the_cells_after_them():
    cells = handed_in().cells
    helper = code("helper = 1")
    notebook = new_notebook(cells=[cells[2], helper, cells[3], cells[0], cells[1]])
    assert repair(notebook, RELEASE) == [
        "Cells were not in the order of the release and have been moved back."
    ]
    assert shape(notebook) == [*WHOLE[:3], (None, "helper = 1"), WHOLE[3]]


def test_points_in_the_metadata_of_an_ordinary_cell_are_ignored():
    bonus = code("100", "bonus", grade=True, points=100)
    notebook = handed_in()
    notebook.cells.append(bonus)
    repair(notebook, RELEASE)
    assert "nbgrader" not in bonus.metadata


def test_an_answer_gets_the_metadata_of_the_release():
    notebook = handed_in(f_answer=[code(ANSWER, "f_answer", grade=True, points=50, locked=True)])
    repair(notebook, RELEASE)
    assert notebook.cells[0].metadata["nbgrader"] == RELEASE[0].metadata


@pytest.mark.parametrize("wrong", ["text", ["list"], {"grade_id": 3}, {"grade_id": None}, {}])
def test_invalid_metadata_is_ignored(wrong):
    cell = code("1")
    cell.metadata["nbgrader"] = wrong
    notebook = handed_in()
    notebook.cells.insert(1, cell)
    assert repair(notebook, RELEASE) == []


def test_an_answer_that_cannot_be_parsed_is_kept():
    notebook = handed_in(f_answer=[code("def f(x:", "f_answer")])
    assert repair(notebook, RELEASE) == []
    assert notebook.cells[0].source == "def f(x:"


def test_text_cells_stay_where_they_are():
    notebook = handed_in()
    notebook.cells.insert(0, new_markdown_cell("Hello"))
    assert repair(notebook, RELEASE) == []
    assert notebook.cells[0].source == "Hello"
