import pytest

from autograder.authoring.samples import grade_samples, stage
from autograder.course.folder import read_notebook
from autograder.errors import CourseError
from tests.autograder.conftest import ASSIGNMENT, handed_in

pytestmark = pytest.mark.slow  # real nbgrader runs


def cells(folder):
    return {
        (path.name, cell["id"]): "".join(cell["source"])
        for path in folder.glob("*.ipynb")
        for cell in read_notebook(path)["cells"]
    }


def test_the_untouched_sample_is_what_is_released(graded):
    released = cells(graded.course.released(ASSIGNMENT))
    assert cells(handed_in(graded.course, "untouched")) == released


def test_a_sample_changes_only_what_students_may_change(graded):
    released = graded.course.released(ASSIGNMENT)
    locked = {
        (path.name, cell["id"])
        for path in released.glob("*.ipynb")
        for cell in read_notebook(path)["cells"]
        if cell["metadata"].get("nbgrader", {}).get("locked")
    }
    assert locked
    for name in graded.course.samples():
        written = cells(handed_in(graded.course, name))
        before = cells(released)
        assert {cell for cell in written if written[cell] != before[cell]}.isdisjoint(locked)


def test_an_answer_holds_neither_marker_nor_marking_scheme(graded):
    written = "".join(cells(handed_in(graded.course, "all_right")).values())
    assert "class BasicBlock" in written
    assert "SOLUTION" not in written
    assert "Marking scheme" not in written


def test_an_entry_of_the_bank_can_be_an_answer(graded):
    written = cells(handed_in(graded.course, "slips"))
    right = cells(handed_in(graded.course, "all_right"))
    answer = next(key for key in right if key[1] == "basic_block_answer")
    assert written[answer] != right[answer]


def sample(course, answers, marks="total = 0\nothers = 0"):
    for folder in (course.root / "samples").iterdir():
        for path in folder.iterdir():
            path.unlink()
    folder = course.root / "samples" / "untouched"
    (folder / "answers.toml").write_text(answers)
    (folder / "marks.toml").write_text(marks)
    return course


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ("start = ", "answers.toml cannot be read"),
        ('start = "source"\nfinish = 1', "finish is not known"),
        ('start = "source"\n[bank]\nbasic_block = "§"', "The bank has no '§' for basic_block"),
        ('start = "source"\n[cells]\nnowhere = ""', "nowhere, which is no cell"),
        ('start = "sauce"', 'say start = "source" or start = "release"'),
        ('start = "source"\nnotebooks = ["6.ipynb"]', "hands in none of the released notebooks"),
    ],
)
def test_answers_that_cannot_be_used_are_said(answers, sentence, course, tmp_path):
    with pytest.raises(CourseError, match=sentence):
        stage(sample(course, answers), ASSIGNMENT, tmp_path / "scratch")


def test_marks_that_differ_from_those_written_are_said(course, tmp_path):
    marks = "total = 7\nothers = 0\n[exercises]\npredict = 1\npaint = 2"
    _, differences = grade_samples(
        sample(course, 'start = "release"\nnotebooks = ["5_assemble_and_train.ipynb"]', marks),
        ASSIGNMENT,
        tmp_path / "scratch",
    )
    assert differences == [
        "untouched: predict is 0, its marks.toml says 1.",
        "untouched: paint is no exercise, its marks.toml says 2.",
        "untouched: total is 0, its marks.toml says 7.",
    ]


def test_a_course_without_samples_is_refused(course, tmp_path):
    for marks in course.root.glob("samples/*/marks.toml"):
        marks.unlink()
    with pytest.raises(CourseError, match="holds no sample"):
        stage(course, ASSIGNMENT, tmp_path / "scratch")
