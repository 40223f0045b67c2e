"""The import contracts in pyproject.toml, and what the package may need from elsewhere."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "convnets"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS = {"adjustText", "pandas"}
"""Imported inside the function that needs it, which says what to install."""
CORE = sorted(path for path in SOURCE.rglob("*.py") if "widgets" not in path.parts)


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts on the packages below `folder`."""
    path = f"{folder / 'src'}{os.pathsep}{folder}"
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path):
    """A copy of both packages and their contracts, to change."""
    ignore = shutil.ignore_patterns("__pycache__", "recorded", "mutants")
    shutil.copytree(SOURCE, tmp_path / "src" / "convnets", ignore=ignore)
    shutil.copytree(ROOT / "autograder", tmp_path / "autograder", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "wrong", "contract"),
    [
        ("src/convnets/plots/style.py", "convnets.widgets", "Folders of convnets"),
        ("src/convnets/analysis/trace.py", "convnets.experiments", "Folders of convnets"),
        ("src/convnets/layers/activations.py", "autograder.errors", "The package knows nothing"),
        ("src/convnets/models/resnet.py", "convnets.models.senet", "No loops"),
        ("autograder/course/late.py", "autograder.grading.job", "Folders of the autograder"),
        ("autograder/sandbox/session.py", "autograder.sandbox.inside.shell", "Nothing outside"),
    ],
)
def test_an_import_in_the_wrong_direction_breaks_a_contract(file, wrong, contract, copy):
    path = copy / file
    path.write_text(f"{path.read_text('utf-8')}\nimport {wrong}\n", "utf-8")
    result = lint_imports(copy)
    assert result.returncode == 1, result.stdout + result.stderr
    assert re.search(rf"{contract}.* BROKEN", result.stdout)


def imported_packages(path: Path) -> set[str]:
    packages = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            packages |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            packages.add(node.module.partition(".")[0])
    return packages


def test_the_package_without_widgets_imports_only_its_declared_dependencies():
    declared = {name.partition(">")[0] for name in PROJECT["project"]["dependencies"]}
    declared.add("PIL")  # as Pillow is imported
    assert "pillow" in declared
    assert len(CORE) > 10
    for path in CORE:
        foreign = imported_packages(path) - set(sys.stdlib_module_names) - {"convnets"}
        assert foreign <= declared | EXTRAS, path
