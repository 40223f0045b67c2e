"""What every chapter keeps, read from the file alone."""

import ast
import re
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
APPENDIX = sorted((ROOT / "chapters" / "appendix").glob("*.ipynb"))
NOTEBOOKS = CHAPTERS + APPENDIX + sorted((ROOT / "assignments").glob("s*/**/*.ipynb"))


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def text(path: Path, kind: str) -> str:
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == kind)


chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
notebooks = pytest.mark.parametrize(
    "path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}"
)


def test_there_are_chapters_and_assignment_notebooks():
    assert len(CHAPTERS) >= 3
    assert len(NOTEBOOKS) > len(CHAPTERS)


@notebooks
def test_a_notebook_is_valid_and_holds_no_outputs(path):
    notebook = read(path)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None


@chapters
def test_cells_have_readable_ids(path):
    ids = [cell.id for cell in read(path).cells]
    assert len(ids) == len(set(ids))
    assert not [cell_id for cell_id in ids if re.fullmatch(r"[0-9a-f]{8,}(-[0-9a-f]+)*", cell_id)]


@chapters
def test_a_chapter_is_in_the_table_of_contents(path):
    assert f"chapters/{path.stem}" in (ROOT / "_toc.yml").read_text()


@chapters
def test_a_chapter_says_what_one_learns_and_which_slides_it_follows(path):
    opening = "\n".join(cell.source for cell in read(path).cells[:3]).lower()
    assert "you will learn" in opening
    assert "slides" in opening


@chapters
def test_a_chapter_has_a_quiz_folded_answers_practice_and_references(path):
    prose = text(path, "markdown")
    assert text(path, "code").count("Question(") >= 3
    assert prose.count("<details>") == prose.count("</details>") >= 3
    assert "in practice today" in prose.lower()
    assert "{cite:" in prose


@chapters
def test_every_citation_is_in_the_bibliography(path):
    keys = set(re.findall(r"^@\w+\{(\w+),", (ROOT / "references.bib").read_text(), re.MULTILINE))
    cited = re.findall(r"\{cite:[pt]\}`([^`]+)`", text(path, "markdown"))
    cited = {key.strip() for group in cited for key in group.split(",")}
    assert cited <= keys


@chapters
def test_code_imports_the_package_and_keeps_no_second_copy_of_a_network(path):
    tree = ast.parse(TransformerManager().transform_cell(text(path, "code")))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert any((module or "").startswith("convnets") for module in imported)
    assert not [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


@pytest.mark.parametrize("path", CHAPTERS + APPENDIX, ids=lambda path: path.stem)
def test_the_first_cell_installs_only_what_is_missing_from_the_released_version(path):
    """Colab's torch and numpy stay as they are: our own requirements are lower bounds."""
    first = next(cell for cell in read(path).cells if cell.cell_type == "code")
    repository = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]
    assert f'git+{repository["url"]}@{repository["branch"]}"' in first.source
    assert 'find_spec("convnets") is None' in first.source
    assert "remove-cell" in first.metadata["tags"]
    requirements = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert not [one for one in requirements if "<" in one or "==" in one]


@chapters
def test_a_chapter_has_an_explorer_and_pictures_with_text_alternatives(path):
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    drawn = [cell for cell in cells if cell.source.rstrip().endswith("\nfig")]
    assert len(drawn) >= 3
    assert all(cell.metadata["mystnb"]["image"]["alt"] for cell in drawn)
    assert any(cell.id.startswith("explorer") for cell in cells)


@chapters
def test_what_code_says_needs_no_markup_that_outputs_do_not_know(path):
    for cell in read(path).cells:
        if cell.cell_type == "code":
            assert "{cite:" not in cell.source
            assert "$" not in cell.source


@chapters
def test_the_landing_page_leads_to_a_chapter_and_names_its_slides_and_time(path):
    opening = read(path).cells[0].source
    slides = re.search(r"\*\*Slides\*\* \| (.+?) \|", opening)[1]
    minutes = re.search(r"\*\*Time\*\* \| (\d+) minutes", opening)[1]
    assert f"{{doc}}`chapters/{path.stem}` | {slides} | {minutes} min |" in (
        ROOT / "intro.md"
    ).read_text("utf-8")
