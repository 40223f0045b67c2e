"""The instructor guide's table of exercises is the one of the notebooks."""

from autograder.course import read_notebook
from tests.autograder.conftest import ASSIGNMENT, REPOSITORY


def rows(course):
    """A line for each notebook, as the guide has it."""
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
