"""The instructor guide agrees with the exercises and the bank."""

from autograder.authoring.bank import load
from autograder.course.folder import read_notebook
from tests.autograder.conftest import ASSIGNMENT, REPOSITORY


def rows(course):
    """Yield the line of the guide for each notebook."""
    for path in course.notebooks(ASSIGNMENT):
        metadata = [cell["metadata"].get("nbgrader", {}) for cell in read_notebook(path)["cells"]]
        points = {one["grade_id"]: one["points"] for one in metadata if one.get("grade")}
        exercises = ", ".join(f"`{name}` {count:g}" for name, count in points.items())
        yield f"| `{path.name}` | {exercises} | {sum(points.values()):g} |"


def test_the_instructor_guide_has_the_exercises_and_points_of_the_notebooks(original):
    guide = (REPOSITORY / "guides" / "instructor.md").read_text("utf-8").splitlines()
    start = guide.index("| notebook | exercises | points |") + 2
    table = guide[start : guide.index("", start)]
    assert table == list(rows(original))


def test_the_instructor_guide_has_the_size_of_the_bank(original):
    guide = (REPOSITORY / "guides" / "instructor.md").read_text("utf-8")
    bank = load(original, ASSIGNMENT)
    wrong = sum(entry.says is not None for entry in bank)
    assert f"{len(bank) - wrong} correct and {wrong} wrong answers" in guide


def test_the_instructor_guide_counts_misconceptions_as_the_bank_does(original):
    guide = (REPOSITORY / "guides" / "instructor.md").read_text("utf-8").splitlines()
    head = "| misconception | words of the sentence | exercises | wrong answers |"
    start = guide.index(head) + 2
    bank = load(original, ASSIGNMENT)
    table = guide[start : guide.index("", start)]
    assert table
    for line in table:
        _, words, exercises, answers = line.strip("| ").split(" | ")
        found = [entry.exercise for entry in bank if words in (entry.says or "")]
        assert (len({*found}), len(found)) == (int(exercises), int(answers)), line
