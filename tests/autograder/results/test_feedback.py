from html.parser import HTMLParser

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output, new_raw_cell

from autograder.authoring.leaks import gather, search
from autograder.course.folder import Course
from autograder.errors import CourseError
from autograder.results.feedback import feedback
from tests.autograder.conftest import ASSIGNMENT

pytestmark = pytest.mark.slow  # real nbgrader runs

SCRIPT = "<script>window.stolen = 1</script>"
BOOK = "3_residual_and_se"


def evil_cells():
    """What a student may write into a notebook so that it runs in another person's browser."""
    outputs = [
        new_output("display_data", {"text/html": SCRIPT}),
        new_output("display_data", {"application/javascript": "window.stolen = 1"}),
        new_output("display_data", {"text/markdown": SCRIPT}),
        new_output("display_data", {"text/latex": SCRIPT}),
        new_output("display_data", {"image/svg+xml": f"<svg onload='stolen()'>{SCRIPT}</svg>"}),
        new_output("display_data", {"image/png": f'">{SCRIPT}'}),
        new_output("display_data", {"text/plain": SCRIPT}),
        new_output("stream", name="stdout", text=SCRIPT),
        new_output("error", ename=SCRIPT, evalue=SCRIPT, traceback=[SCRIPT]),
    ]
    tagged = new_code_cell(SCRIPT, outputs=outputs)
    tagged.metadata = {"tags": [f'">{SCRIPT}'], "slideshow": {"slide_type": f'">{SCRIPT}'}}
    return [
        tagged,
        new_markdown_cell(f"{SCRIPT}<img src=x onerror='stolen()'>[go](javascript:stolen())"),
        new_markdown_cell(
            "[go](javascript:stolen()) <javascript:stolen()> ![x](javascript:stolen())"
        ),
        new_markdown_cell("![x](attachment:x.svg)", attachments={"x.svg": {SCRIPT: SCRIPT}}),
        new_markdown_cell("![not there](attachment:y.png) $x < y$ **bold**"),
        new_raw_cell(SCRIPT, metadata={"raw_mimetype": "text/html"}),
    ]


class Scripts(HTMLParser):
    """The scripts and handlers of a page."""

    def __init__(self, page):
        super().__init__()
        self.inside, self.scripts, self.handlers = False, [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.inside = tag == "script"
        for name, value in attrs:
            if name.startswith("on") or (value or "").strip().lower().startswith("javascript:"):
                self.handlers.append((tag, name, value))

    def handle_data(self, data):
        if self.inside:
            self.scripts.append(data)

    def handle_endtag(self, tag):
        self.inside = False


@pytest.fixture(scope="module")
def pages(graded):
    """The feedback of a class in which one student wrote scripts into a notebook."""
    path = graded.course.root / "autograded" / "untouched" / ASSIGNMENT / f"{BOOK}.ipynb"
    before = path.read_text("utf-8")
    book = nbformat.read(path, as_version=4)
    book.metadata["widgets"] = {SCRIPT: {"state": SCRIPT}}
    book.cells += evil_cells()
    path.write_text(nbformat.writes(book), "utf-8")
    try:
        return feedback(graded.course, ASSIGNMENT)
    finally:
        path.write_text(before, "utf-8")


def page(pages, student, book=BOOK):
    return (pages / student / ASSIGNMENT / f"{book}.html").read_text("utf-8")


def test_every_graded_student_gets_a_page_for_each_notebook(graded, pages):
    for student in graded.outcome.marks:
        autograded = (graded.course.root / "autograded" / student / ASSIGNMENT).glob("*.ipynb")
        for path in autograded:
            assert "Score" in page(pages, student, path.stem)


def test_pages_name_the_mistakes(pages):
    assert "comes before the addition" in page(pages, "slips")


def test_pages_hold_no_hidden_test(graded, pages):
    tests = [secret for secret in gather(graded.course) if "hidden tests" in secret.origin]
    assert tests
    assert search(pages, tests) == []


def test_an_error_in_a_hidden_test_is_shown_without_the_tests_lines(graded, pages):
    text = page(pages, "untouched")
    assert "NotImplementedError" in text
    assert "checks import check" not in text


def test_nothing_that_a_student_wrote_runs_in_a_browser(pages):
    ours, theirs = Scripts(page(pages, "all_right")), Scripts(page(pages, "untouched"))
    assert "window.stolen" in page(pages, "untouched")  # shown, as text
    assert not any("stolen" in script for script in theirs.scripts)
    assert theirs.handlers == ours.handlers
    assert "<svg" not in page(pages, "untouched")
    assert "<strong>bold</strong>" in page(pages, "untouched")


def test_feedback_without_grades_is_refused(original, tmp_path):
    with pytest.raises(CourseError, match="grade it first"):
        feedback(Course.at(original.staged(tmp_path / "course").root), ASSIGNMENT)
