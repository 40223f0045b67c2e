import json
import zipfile

import pytest
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from autograder.authoring.leaks import gather, search
from autograder.errors import CourseError

HIDDEN = 'check("predict", predict).report()'
SOLUTION = """\
            nn.Conv2d(1, 16, 3, stride=2, padding=1, bias=False),  # (N, 16, 14, 14)
            nn.BatchNorm2d(16),
            nn.ReLU(),
            BasicBlock(16, 16, residual=residual),"""
MARK_SCHEME = "- 1 point: a fair comparison: only the shortcut differs, and the answer states this."


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
def test_a_leak_is_found_in_every_file_format(leak, publish, secrets, tmp_path):
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
    assert "hidden tests of 5_assemble_and_train.ipynb" in finding.secret.origin


def test_answers_of_samples_and_of_the_bank_are_secrets(secrets, tmp_path):
    sample = "curves = {}\nfor residual in (True, False):\n    torch.manual_seed(1)\n    name = "
    sample += '"with shortcuts" if residual else "without"'
    variant = "        network.eval()\n        both = network(x) + 0.1 * network(x.flip(-1))\n"
    variant += "        return both.requires_grad_().topk(1).indices.squeeze(1).to(torch.int32)"
    (tmp_path / "copy.py").write_text(f"{sample}\n{variant}\n")
    origins = {finding.secret.origin for finding in search(tmp_path, secrets)}
    assert any("sample all_right, cell own_plot" in origin for origin in origins)
    assert any("predict.toml" in origin for origin in origins)


@pytest.mark.parametrize(
    "harmless",
    [
        "return x",
        "super().__init__()",
        "        # YOUR CODE HERE\n        raise NotImplementedError()",
        "from autograder.checks import check",
        "nn.BatchNorm2d(out_channels),\n)",
        "self.bn1 = nn.BatchNorm2d(out_channels)",
        "class BasicBlock(nn.Module):\n    def forward(self, x):\n        return x",
    ],
)
def test_common_and_public_lines_are_not_leaks(harmless, secrets, tmp_path):
    (tmp_path / "page.txt").write_text(harmless)
    assert search(tmp_path, secrets) == []


def test_a_course_without_secrets_is_refused(course):
    for notebook in course.root.glob("source/*/*.ipynb"):
        notebook.write_text(json.dumps({"cells": []}))
    with pytest.raises(CourseError, match="nothing to search for"):
        gather(course)


def test_a_course_without_notebooks_is_refused(course):
    for notebook in course.root.glob("source/*/*.ipynb"):
        notebook.unlink()
    with pytest.raises(CourseError, match="has no notebooks"):
        gather(course)


def test_a_path_that_does_not_exist_is_refused(secrets, tmp_path):
    with pytest.raises(CourseError, match="does not exist"):
        search(tmp_path / "html", secrets)
