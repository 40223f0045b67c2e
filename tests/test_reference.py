"""The reference pages: every public name has its words and an example that runs."""

import dataclasses
import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest
import torch

import convnets
from scripts.reference import example, source

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "reference").glob("*.md"))
MODULES = [re.findall(r"automodule:: (\S+)", page.read_text("utf-8"))[0] for page in PAGES]


def public_names() -> list[str]:
    """Functions and classes, but for the networks' builders; `module.name`."""
    names = []
    for module in MODULES:
        for name in importlib.import_module(module).__all__:
            found = getattr(importlib.import_module(module), name)
            if inspect.isroutine(found) or inspect.isclass(found):
                names.append(f"{module}.{name}")
    builders = {f"convnets.models.{name}" for name in convnets.list_models()}
    return sorted({*names} - builders - {"convnets.models.create_model"})


def resolve(name: str) -> object:
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


def test_each_folder_of_the_package_has_a_page():
    folders = {path.parent.name for path in (ROOT / "src" / "convnets").glob("*/__init__.py")}
    assert {*MODULES} == {"convnets", *(f"convnets.{f}" for f in folders)}


@pytest.mark.parametrize("name", public_names())
def test_a_public_name_has_a_docstring_with_an_example(name):
    found = resolve(name)
    assert found.__doc__
    # A record is shown by the example of the function that returns it.
    if not dataclasses.is_dataclass(found):
        assert ">>>" in inspect.getdoc(found)


def test_the_example_of_every_builder_is_true():
    runner = doctest.DocTestRunner(verbose=False)
    for network in convnets.list_models():
        text = "\n".join(example(network))
        test = doctest.DocTestParser().get_doctest(text, {"convnets": convnets}, network, None, 0)
        with torch.device("meta"):
            runner.run(test)
    assert runner.summarize() == (0, 2 * len(convnets.list_models()))


def test_a_name_leads_to_the_lines_of_its_source():
    about = {"module": "convnets.analysis", "fullname": "trace"}
    link = re.fullmatch(r"https://code/(.+)#L(\d+)-L(\d+)", source("https://code", about))
    path, first, last = link.groups()
    lines = (ROOT / "src" / path).read_text("utf-8").splitlines()[int(first) - 1 : int(last)]
    assert lines[0].startswith("def trace(")
    assert lines[-1].startswith("    ")
