import json
import zipfile

import pytest
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from autograder.errors import CourseError
from autograder.leaks import gather, search

HIDDEN = "residual.identity_shortcut(BasicBlock, seed=20261113).report()"
SOLUTION = """\
        branch = self.relu(self.first_norm(self.first_conv(x)))
        branch = self.second_norm(self.second_conv(branch))
        return self.relu(branch + self.shortcut(x))"""
MARK_SCHEME = "- 1 point: the *training* error is higher, not only the test error."


@pytest.fixture(scope="module")
def secrets(original):
    return gather(original)


def notebook_with(source):
    lines = source.splitlines(keepends=True)
    return json.dumps({"cells": [{"cell_type": "code", "source": lines}]}, indent=1)


def plain_html(text):
    return f"<pre>{text.replace('*', '&#42;')}</pre>"


def highlighted_html(text):
    return highlight(text, PythonLexer(), HtmlFormatter())


def numbered_html(text):
    return highlight(text, PythonLexer(), HtmlFormatter(linenos="inline"))


def script(text):
    return "<script>" + json.dumps([text]).replace("=", r"\u003d") + "</script>"


@pytest.mark.parametrize("leak", [HIDDEN, SOLUTION, MARK_SCHEME], ids=["test", "code", "scheme"])
@pytest.mark.parametrize(
    "publish", [str, notebook_with, plain_html, highlighted_html, json.dumps, script]
)
def test_a_leak_is_found_in_every_form(leak, publish, secrets, tmp_path):
    page = tmp_path / "page"
    page.write_text(publish(f"before\n{leak}\nafter"), "utf-8")
    assert {finding.file for finding in search(tmp_path, secrets)} == {str(page)}


def test_one_line_of_a_hidden_test_is_found_between_line_numbers(secrets, tmp_path):
    (tmp_path / "page.html").write_text(numbered_html(f"x = 1\n{HIDDEN}\ny = 2"), "utf-8")
    assert search(tmp_path, secrets)


def test_a_leak_is_found_in_a_zip_within_a_zip(secrets, tmp_path):
    inner, outer = tmp_path / "inner.zip", tmp_path / "outer.zip"
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a2/notebook.ipynb", notebook_with(HIDDEN))
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(inner, "inner.zip")
    (finding,) = search(outer, secrets)
    assert finding.file == f"{outer}/inner.zip/a2/notebook.ipynb"
    assert "hidden tests of residual_learning.ipynb" in finding.secret.origin


def test_an_answer_of_a_sample_is_a_secret_too(secrets, original, tmp_path):
    sample = original.samples()["written_differently"] / "residual_learning.ipynb"
    (tmp_path / "copy.ipynb").write_text(sample.read_text("utf-8"), "utf-8")
    origins = {finding.secret.origin for finding in search(tmp_path, secrets)}
    assert any("sample written_differently" in origin for origin in origins)


@pytest.mark.parametrize(
    "harmless",
    [
        "return x",
        "super().__init__()",
        "        # YOUR CODE HERE\n        raise NotImplementedError()",
        "from autograder.checks import residual",
        "nn.BatchNorm2d(out_channels),\n)",
        "self.bn1 = nn.BatchNorm2d(out_channels)",
        "class BasicBlock(nn.Module):\n    def forward(self, x):\n        return x",
    ],
)
def test_common_and_public_lines_are_no_leak(harmless, secrets, tmp_path):
    (tmp_path / "page.txt").write_text(harmless)
    assert search(tmp_path, secrets) == []


def test_the_untouched_sample_is_no_leak(secrets, original):
    assert search(original.samples()["untouched"], secrets) == []


def test_a_course_without_secrets_is_refused(course):
    for notebook in course.root.glob("source/*/*.ipynb"):
        notebook.write_text(json.dumps({"cells": []}))
    with pytest.raises(CourseError, match="nothing to search for"):
        gather(course)


def test_a_course_without_notebooks_is_refused(course):
    for notebook in course.root.glob("source/*/*.ipynb"):
        notebook.unlink()
    with pytest.raises(CourseError, match="holds no notebook"):
        gather(course)


def test_a_path_that_does_not_exist_is_refused(secrets, tmp_path):
    with pytest.raises(CourseError, match="does not exist"):
        search(tmp_path / "html", secrets)
