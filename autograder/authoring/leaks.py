"""Search published files for hidden tests and solutions.

Secrets are the lines of the source notebooks that nbgrader removes on release, and the answers in
samples and in the variants of the bank. Text is compared without white space, so that neither JSON
nor HTML can hide a line.

A single line of a hidden test, a marking scheme or a written answer is a leak. Lines of code in
solutions are often common (`return x`), so a leak of a solution is three of them in a row.
"""

import html
import json
import re
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from autograder.course.folder import Course, read_notebook
from autograder.errors import CourseError

REGION = re.compile(r"(BEGIN|END) (SOLUTION|HIDDEN TESTS)")
LINES_OF_A_SOLUTION = 3
# Characters without white space; shorter pieces occur anywhere.
SHORTEST_LINE = 20
SHORTEST_SOLUTION = 60
BANK = Path(__file__).parent / "mutants"


@dataclass(frozen=True)
class Secret:
    """Text that must not be published.

    Args:
        text: the text, without white space.
        origin: where it comes from.
    """

    text: str
    origin: str


@dataclass(frozen=True)
class Leak:
    """A secret that was found in a file.

    Args:
        file: the path of the file; within a zip it reads `bundle.zip/inside/name`.
        secret: the secret.
    """

    file: str
    secret: Secret


def gather(course: Course) -> list[Secret]:
    """Collect the secrets of all assignments of a course.

    Raises:
        CourseError: there is no source notebook, or one of them has no secrets.
    """
    sources = sorted(course.root.glob("source/*/*.ipynb"))
    if not sources:
        raise CourseError(
            f"{course.root / 'source'} has no notebooks, so there is nothing to search for."
        )
    public = {
        _squeeze(line)
        for path in sources
        for cell in read_notebook(path)["cells"]
        for line in _split(cell)[0]
    }
    secrets = []
    for path in sources:
        found = list(_secrets_of_source(path, public))
        if not found:
            raise CourseError(
                f"{path} has neither hidden tests nor solutions, so there is nothing to search "
                "for: mark them with BEGIN and END, as nbgrader requires."
            )
        secrets += found
    written = {
        cell["id"]
        for path in sources
        for cell in read_notebook(path)["cells"]
        if cell["cell_type"] == "markdown"
    }
    for name, folder in course.samples().items():
        for cell, text in _toml(folder / "answers.toml").get("cells", {}).items():
            for piece in _pieces(text.splitlines(), cell not in written, public):
                secrets.append(Secret(piece, f"answer in sample {name}, cell {cell}"))
    for path in sorted(BANK.glob("*.toml")):
        for variant in _toml(path).get("variant", []):
            for piece in _pieces(variant.get("source", "").splitlines(), True, public):
                secrets.append(Secret(piece, f"answer in {path.name}, {variant.get('name')}"))
    return secrets


def search(path: Path, secrets: list[Secret]) -> list[Leak]:
    """Search a file, a zip archive or all files under a folder.

    Raises:
        CourseError: the path does not exist.
    """
    if not path.exists():
        raise CourseError(f"{path} does not exist: build it before you search it.")
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return [
        Leak(name, secret)
        for file in files
        for name, content in _documents(str(file), file.read_bytes())
        for secret in _found(content, secrets)
    ]


def _secrets_of_source(path: Path, public: set[str]) -> Iterator[Secret]:
    for cell in read_notebook(path)["cells"]:
        for kind, lines in _split(cell)[1]:
            is_code = kind == "SOLUTION" and cell["cell_type"] == "code"
            for text in _pieces(lines, is_code, public):
                yield Secret(text, f"{kind.lower()} of {path.name}, cell {cell.get('id', '?')}")


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise CourseError(f"{path} cannot be read ({error}).") from None


def _split(cell: dict[str, Any]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the released lines of a cell, and the kind and lines of each hidden region."""
    shown: list[str] = []
    hidden: list[tuple[str, list[str]]] = []
    target = shown
    for line in _source(cell).splitlines():
        if marker := REGION.search(line):
            target = shown
            if marker[1] == "BEGIN":
                target = []
                hidden.append((marker[2], target))
        else:
            target.append(line)
    return shown, hidden


def _pieces(lines: list[str], is_code_solution: bool, public: set[str]) -> Iterator[str]:
    """Yield distinctive lines; of the code of a solution, a few lines in a row."""
    squeezed = [text for line in lines if (text := _squeeze(line))]
    if not is_code_solution:
        for text in squeezed:
            trivial = len(text) < SHORTEST_LINE or text.startswith(("import", "from"))
            if not trivial and text not in public:
                yield text
        return
    for start in range(len(squeezed) - LINES_OF_A_SOLUTION + 1):
        window = squeezed[start : start + LINES_OF_A_SOLUTION]
        if len("".join(window)) >= SHORTEST_SOLUTION and not public.intersection(window):
            yield "".join(window)


def _documents(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield a file, or each file of a zip archive, including archives within it."""
    if zipfile.is_zipfile(BytesIO(content)):
        with zipfile.ZipFile(BytesIO(content)) as archive:
            for entry in archive.infolist():
                yield from _documents(f"{name}/{entry.filename}", archive.read(entry))
    else:
        yield name, content


def _found(content: bytes, secrets: list[Secret]) -> list[Secret]:
    text = content.decode("utf-8", errors="ignore")
    views = {_squeeze(view) for view in set(_views(text))}
    return [secret for secret in secrets if any(secret.text in view for view in views)]


def _views(text: str) -> Iterator[str]:
    """Yield a text unchanged, and decoded from JSON and HTML."""
    yield text
    with suppress(ValueError):
        yield "\n".join(_strings(json.loads(text)))
    unescaped = re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), text)
    for version in (unescaped, re.sub(r"\\[nrt]", "\n", unescaped).replace("\\", "")):
        yield html.unescape(version)
        yield html.unescape(re.sub(r"<[^>]*>", "", version))


def _strings(data: Any) -> Iterator[str]:
    """Yield all strings in JSON; a list of strings (the lines of a notebook cell) is one text."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, list) and all(isinstance(item, str) for item in data):
        yield "".join(data)
    elif isinstance(data, list | dict):
        for item in data.values() if isinstance(data, dict) else data:
            yield from _strings(item)


def _source(cell: dict[str, Any]) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def _squeeze(text: str) -> str:
    return "".join(text.split())
