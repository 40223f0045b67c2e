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


def test_the_untouched_sample_equals_the_release(graded):
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


def test_answers_contain_neither_markers_nor_marking_schemes(graded):
    written = "".join(cells(handed_in(graded.course, "all_right")).values())
    assert "class BasicBlock" in written
    assert "SOLUTION" not in written
    assert "Marking scheme" not in written


def test_a_sample_can_use_an_entry_of_the_bank(graded):
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
        ('start = "source"\nfinish = 1', "unknown key finish"),
        ('start = "source"\n[bank]\nbasic_block = "§"', "uses '§' for basic_block"),
        ('start = "source"\n[cells]\nnowhere = ""', "nowhere, which is not a cell"),
        ('start = "sauce"', 'needs start = "source" or start = "release"'),
        ('start = "source"\nnotebooks = ["6.ipynb"]', "submits none of the released notebooks"),
    ],
)
def test_an_invalid_sample_is_refused(answers, sentence, course, tmp_path):
    with pytest.raises(CourseError, match=sentence):
        stage(sample(course, answers), ASSIGNMENT, tmp_path / "scratch")


def test_marks_that_differ_from_the_expected_ones_are_reported(course, tmp_path):
    marks = "total = 7\nothers = 0\n[exercises]\npredict = 1\npaint = 2"
    _, differences = grade_samples(
        sample(course, 'start = "release"\nnotebooks = ["5_assemble_and_train.ipynb"]', marks),
        ASSIGNMENT,
        tmp_path / "scratch",
    )
    assert differences == [
        "untouched: predict is 0, but marks.toml says 1.",
        "untouched: paint is not an exercise, but marks.toml says 2.",
        "untouched: total is 0, but marks.toml says 7.",
    ]


def test_a_course_without_samples_is_refused(course, tmp_path):
    for marks in course.root.glob("samples/*/marks.toml"):
        marks.unlink()
    with pytest.raises(CourseError, match="has no sample"):
        stage(course, ASSIGNMENT, tmp_path / "scratch")
