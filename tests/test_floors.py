"""Imports run one way: a file imports only from floors below its own (shared design of the
house)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "convnets"
FLOORS = {
    "registry": 1,
    "layers": 1,
    "models": 2,
    "search": 3,
    "analysis": 3,
    "training": 3,
    "experiments": 4,
    "plots": 4,
    "widgets": 4,
    "lecture": 4,
}
ALLOWED_WITHOUT_JUPYTER = {
    "accelerate",
    "convnets",
    "cycler",
    "matplotlib",
    "numpy",
    "rich",
    "torch",
    "torchmetrics",
    "torchvision",
    "tqdm",
    "typer",
}
OPTIONAL = {"pandas"}
FILES = sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE)
# What each folder of the repository never imports: what stands on it.
ABOVE = {
    "src/convnets": {"autograder", "benchmarks", "tests"},
    "autograder": {"benchmarks", "tests"},
}


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_modules(path: Path) -> list[str]:
    modules = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
    return modules


def test_there_are_files_to_check():
    assert len(FILES) > 10


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_imports_only_from_floors_below(path):
    own = room(path)
    for module in imported_modules(path):
        parts = module.split(".")
        if parts[0] == "convnets" and len(parts) > 1 and parts[1] in FLOORS and parts[1] != own:
            assert FLOORS[parts[1]] <= FLOORS[own], f"{own} imports {module}"


@pytest.mark.parametrize("folder", ABOVE)
def test_nothing_imports_what_stands_on_it(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert len(files) > 10
    for path in files:
        imported = {module.split(".")[0] for module in imported_modules(path)}
        assert not imported & ABOVE[folder], path


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_all_but_the_widgets_run_without_jupyter(path, request):
    import sys

    if room(path) == "widgets":
        return
    packages = {module.split(".")[0] for module in imported_modules(path)}
    foreign = packages - ALLOWED_WITHOUT_JUPYTER - set(sys.stdlib_module_names) - OPTIONAL
    assert not foreign
