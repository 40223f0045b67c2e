"""Every chapter links the functions and classes of `convnets` that its code uses."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
LINE = re.compile(r"^Functions used in this chapter: (.+)\.$", re.MULTILINE)
LINK = re.compile(r"\{py:(func|class)\}`(convnets\.[\w.]+)`")


def reference() -> dict[int, tuple[str, str]]:
    """Role and name of each function and class in the API reference, by the object's identity."""
    entries = {}
    for page in (ROOT / "reference").glob("*.md"):
        text = page.read_text("utf-8")
        name = re.findall(r"automodule:: ([\w.]+)", text)[0]  # blocks of the families follow
        module = importlib.import_module(name)
        excluded = re.findall(r":exclude-members: (.+)", text)
        for member in {*module.__all__}.difference(*(one.split(", ") for one in excluded)):
            value = getattr(module, member)
            if inspect.isclass(value) or inspect.isfunction(value):
                role = "class" if inspect.isclass(value) else "func"
                entries[id(value)] = (role, f"{name}.{member}")
    return entries


REFERENCE = reference()


def sources(path: Path, kind: str) -> str:
    cells = nbformat.read(path, as_version=nbformat.NO_CONVERT).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == kind)


def used(code: str) -> set[tuple[str, str]]:
    """The entries of the reference that code imports, or writes as `convnets.name`."""
    values = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("convnets"):
            module = importlib.import_module(node.module or "")
            values += [getattr(module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Attribute):
            owner, _, name = ast.unparse(node).rpartition(".")
            if re.fullmatch(r"convnets(\.\w+)*", owner):
                values.append(getattr(importlib.import_module(owner), name))
    return {REFERENCE[id(value)] for value in values if id(value) in REFERENCE}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_links_the_functions_and_classes_that_its_code_uses(path):
    expected = used(TransformerManager().transform_cell(sources(path, "code")))
    assert expected
    links = ", ".join(f"{{py:{role}}}`{name}`" for role, name in sorted(expected))
    lines = LINE.findall(sources(path, "markdown"))
    assert len(lines) == 1, f"Add one line: Functions used in this chapter: {links}."
    assert sorted(LINK.findall(lines[0])) == sorted(expected)
    assert LINK.sub("", lines[0]).strip(", ") == ""


def test_imports_and_attributes_are_found_and_constants_are_not():
    code = "from convnets.analysis import trace\nfrom convnets.training import RECIPES, Recipe\n"
    assert used(code + "import convnets\nconvnets.models.resnet50()\nconvnets.card('lenet5')") == {
        ("func", "convnets.analysis.trace"),
        ("class", "convnets.training.Recipe"),
        ("func", "convnets.models.resnet50"),
        ("func", "convnets.card"),
    }


def test_a_function_imported_from_its_file_links_to_the_public_name():
    assert used("from convnets.layers.shuffle import channel_shuffle") == {
        ("func", "convnets.layers.channel_shuffle")
    }
