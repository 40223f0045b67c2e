"""Makes the feedback pages for students: nbgrader's, without hidden tests and foreign markup.

nbgrader alone would print each test cell as it was run, and pass on HTML and scripts that a student
wrote.
"""

import re
from pathlib import Path
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat.notebooknode import NotebookNode, from_dict
from nbformat.v4 import new_code_cell, new_output
from nbgrader.preprocessors import NbGraderPreprocessor

from autograder.course.folder import Course, reason
from autograder.errors import CourseError

BEGIN, END = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
# A browser shows these types and never runs them.
PICTURES = ("image/png", "image/jpeg")
SHOWN = ("text/plain", *PICTURES)
ATTACHMENT = re.compile(r"attachment:([^\s)\"'>]*)")


class PlainFeedback(NbGraderPreprocessor):  # type: ignore[misc]
    """The first step of `nbgrader generate_feedback`: removes hidden tests and markup."""

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        nb.metadata = from_dict({})  # type: ignore[no-untyped-call]
        nb.cells = [_plain(cell, number) for number, cell in enumerate(nb.cells)]
        return nb, resources


@pass_context
def plain_markdown(context: Context, source: str) -> str:
    """Render a text cell as HTML for nbconvert's templates; tags in it are shown as text."""
    attached = context.get("cell", {}).get("attachments", {})
    pictures = {name: content for name, content in attached.items() if {*content} <= {*PICTURES}}
    renderer = IPythonRenderer(
        allow_harmful_protocols=False, exclude_anchor_links=True, attachments=pictures
    )
    # nbconvert raises an error for a text that refers to a missing attachment.
    source = ATTACHMENT.sub(
        lambda found: found[0] if found[1] in pictures else f"missing:{found[1]}", source
    )
    return MarkdownWithMath(renderer=renderer).render(source)


def feedback(course: Course, assignment: str) -> Path:
    """Write the pages of every graded student.

    Returns:
        The folder with a folder for each student.

    Raises:
        CourseError: no student is graded, or the pages of a student cannot be made.
    """
    students = [path.parent.name for path in sorted(course.root.glob(f"autograded/*/{assignment}"))]
    if not students:
        raise CourseError(f"Nothing of {assignment} is graded in {course.root}: grade it first.")
    api = course.api()
    failed = []
    for student in students:
        result = api.generate_feedback(assignment, student, force=True)
        if not result["success"]:
            failed.append(f"{student} ({reason(result)})")
    if failed:
        raise CourseError(f"Feedback failed for {', '.join(failed)}; all other pages are written.")
    return course.root / "feedback"


def _plain(cell: NotebookNode, number: int) -> NotebookNode:
    """The cell with its grade, without hidden tests and without anything that a browser runs."""
    if cell.cell_type == "raw":
        cell = new_code_cell(cell.source)  # type: ignore[no-untyped-call]
    about = cell.metadata.get("nbgrader")
    cell.metadata = from_dict({"nbgrader": about} if about else {})  # type: ignore[no-untyped-call]
    cell.id = f"cell-{number}"
    if cell.cell_type == "code":
        shown = _without_hidden_tests(cell.source)
        hides = shown != cell.source
        cell.source = shown
        cell.outputs = [_plain_output(output, hides) for output in cell.outputs]
    return cell


def _without_hidden_tests(source: str) -> str:
    lines, hidden = [], False
    for line in source.splitlines():
        hidden = hidden or BEGIN in line
        if not hidden:
            lines.append(line)
        hidden = hidden and END not in line
    return "\n".join(lines)


def _plain_output(output: NotebookNode, hides: bool) -> NotebookNode:
    if "data" in output:
        output.data = {kind: output.data[kind] for kind in SHOWN if kind in output.data}
        output.metadata = from_dict({})  # type: ignore[no-untyped-call]
    if output.output_type == "error" and hides:  # the traceback shows the test
        line = f"{output.ename}: {output.evalue}"
        return new_output(  # type: ignore[no-untyped-call]
            "error", ename=output.ename, evalue=output.evalue, traceback=[line]
        )
    return output
