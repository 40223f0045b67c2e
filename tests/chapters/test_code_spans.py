"""A call that a chapter or a guide quotes in its text can be made as it stands."""

import ast
import importlib
import inspect
import json
import re
from pathlib import Path

import pytest
import torchvision.ops
from torch import nn

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / "chapters").rglob("*.ipynb"),
        *(ROOT / "chapters").rglob("*.md"),
        *(ROOT / "guides").rglob("*.md"),
        ROOT / "README.md",
        ROOT / "intro.md",
    ]
)
FOLDERS = ("analysis", "experiments", "layers", "lecture", "models", "plots", "search", "training")
CALL = re.compile(r"`([A-Za-z_][\w.]*\([^`\n]*\))`")


def prose(path: Path) -> str:
    """The text of a page, without blocks of code."""
    text = path.read_text("utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)


CALLS = sorted(
    {
        (path.relative_to(ROOT).as_posix(), call)
        for path in PAGES
        for call in CALL.findall(prose(path))
    }
)


def resolve(name: str) -> object:
    """What a name in the text stands for.

    Raises:
        LookupError: neither `convnets` nor PyTorch has anything of this name.
    """
    first, *rest = name.split(".")
    if first in ("convnets", "torch", "torchvision"):
        found: object = importlib.import_module(first)
    elif first == "nn":
        found = nn
    else:
        rooms = ["convnets", *(f"convnets.{folder}" for folder in FOLDERS)]
        spaces = [*map(importlib.import_module, rooms), torchvision.ops]
        owners = [space for space in spaces if hasattr(space, first)]
        if not owners:
            raise LookupError(f"nothing is called {first}")
        found = getattr(owners[0], first)
    for part in rest:
        found = getattr(found, part)
    return found


def bind(call: str) -> None:
    """Bind a call to the signature of what it calls, where … stands for further arguments.

    Raises:
        LookupError, AttributeError: nothing has this name.
        TypeError: it does not take these arguments.
    """
    node = ast.parse(call.replace("…", "..."), mode="eval").body
    assert isinstance(node, ast.Call)
    open_ended = any(isinstance(a, ast.Constant) and a.value is ... for a in node.args)
    arguments = [] if open_ended else [None] * len(node.args)
    keywords = {word.arg: None for word in node.keywords if word.arg}
    signature = inspect.signature(resolve(ast.unparse(node.func)))  # type: ignore[arg-type]
    (signature.bind_partial if open_ended else signature.bind)(*arguments, **keywords)


def test_there_are_calls_to_check():
    assert len(CALLS) > 10


@pytest.mark.parametrize(("page", "call"), CALLS)
def test_a_quoted_call_binds_to_a_real_signature(page, call):
    bind(call)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ('create_model("densenet121", save_memory=True)', TypeError),
        ('build("densenet121")', LookupError),
        ("convnets.models.resnet51()", AttributeError),
        ("fit()", TypeError),
    ],
)
def test_a_call_that_cannot_be_made_is_found(call, error):
    with pytest.raises(error):
        bind(call)
