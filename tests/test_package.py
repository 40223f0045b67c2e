"""The names that `import convnets` provides."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import convnets

ROOT = Path(__file__).parents[1]
SUBMODULES = sorted(file.parent.name for file in (ROOT / "src/convnets").glob("*/__init__.py"))


def test_the_version_is_that_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert convnets.__version__ == project["version"]


def test_a_submodule_is_imported_when_it_is_first_used():
    code = f"""
import sys
import convnets
print(*sys.modules)
print(*(getattr(convnets, name).__name__ for name in {SUBMODULES}))
"""
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    at_first, then = (line.split() for line in output.splitlines())
    assert "convnets.models" in at_first
    assert not {"matplotlib", "accelerate", "convnets.plots", "convnets.training"} & {*at_first}
    assert then == [f"convnets.{name}" for name in SUBMODULES]


def test_dir_lists_the_public_names_and_all_submodules():
    assert dir(convnets) == sorted([*convnets.__all__, *SUBMODULES, "__version__"])


def test_an_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'convnets' has no attribute 'build'"):
        convnets.build  # noqa: B018


def test_a_submodule_whose_extra_is_missing_names_the_package(monkeypatch):
    def import_module(name):
        raise ImportError("No module named 'ipywidgets'")

    monkeypatch.delattr(convnets, "widgets", raising=False)
    monkeypatch.setattr(convnets.importlib, "import_module", import_module)
    with pytest.raises(AttributeError, match=r"convnets\.widgets cannot.*No module.*'ipywidgets'"):
        convnets.widgets  # noqa: B018
