"""A Sphinx extension for the pages in `reference/`, which autodoc makes from the docstrings.

It links each function and class to its source in the repository, at the released version, and gives
each builder of a network an example with the facts of its card.
"""

import inspect
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import convnets

SOURCE = Path(__file__).resolve().parents[1] / "src"


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the links; Sphinx calls this."""
    theme = app.config["html_theme_options"]
    address = f"{theme['repository_url']}/blob/{theme['repository_branch']}/src"
    app.config["linkcode_resolve"] = lambda domain, about: source(address, about)
    app.setup_extension("sphinx.ext.linkcode")
    app.connect("autodoc-process-docstring", add_example)
    app.connect("autodoc-skip-member", skip_builder)
    return {"parallel_read_safe": True}


def source(address: str, about: dict[str, str]) -> str | None:
    """Where an object's source stands in the repository; `None` for plain values."""
    found: Any = sys.modules.get(about["module"])
    for part in about["fullname"].split("."):
        found = getattr(found, part, None)
    try:
        found = inspect.unwrap(found)
        path = Path(inspect.getsourcefile(found) or "").relative_to(SOURCE)
        lines, first = inspect.getsourcelines(found)
    except (TypeError, ValueError, OSError):
        return None
    return f"{address}/{path.as_posix()}#L{first}-L{first + len(lines) - 1}"


def add_example(
    app: Sphinx, what: str, name: str, found: object, options: object, lines: list[str]
) -> None:
    """Append an example to the docstring of a network's builder."""
    module, _, network = name.rpartition(".")
    if module == "convnets.models" and network in convnets.list_models():
        lines += ["", *example(network)]


def skip_builder(
    app: Sphinx, what: str, name: str, found: object, skip: bool, options: object
) -> bool | None:
    """Leave a network's builder out of its family's section; `convnets.models` lists it."""
    module = app.env.temp_data.get("autodoc:module")
    return True if name in convnets.list_models() and module != "convnets.models" else None


def example(network: str) -> list[str]:
    """Lines of a doctest: how many parameters the network has."""
    return [
        f">>> net = convnets.models.{network}()",
        ">>> sum(parameter.numel() for parameter in net.parameters())",
        str(convnets.card(network).parameters),
    ]
