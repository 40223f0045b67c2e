"""Execute the chapters and build the website into _build/html.

Any error or warning fails the build.

What the page on Assignment 2 says of its deadline and its points is read from the course.

Chapters are executed side by side, each on one thread, and kept in a cache. It is thrown away when
the package, the data or the lock has changed, since jupyter-cache itself looks at the cells only.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor

from autograder.course.folder import Course, read_notebook

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
CACHE = BUILD / ".jupyter_cache"
KEY = BUILD / ".cache-key"
ASSIGNMENT = BUILD / "assignment2.md"
SECONDS = 900  # that a cell may take, as in _config.yml
# What a chapter's outputs depend on besides its cells.
INPUTS = ("src/convnets", "data", "requirements.lock")


def cache_key() -> str:
    """Digest of every file that an executed chapter may have used."""
    digest = hashlib.sha256()
    for name in INPUTS:
        path = ROOT / name
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        for file in files:
            if "__pycache__" not in file.parts:
                digest.update(file.relative_to(ROOT).as_posix().encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()


def execute_chapters() -> None:
    """Fill the cache with what is not in it; what fails is run again, and told of, by the build."""
    cache = get_cache(str(CACHE))
    for path in sorted((ROOT / "chapters").rglob("*.ipynb")):
        if ".ipynb_checkpoints" not in path.parts:
            cache.add_nb_to_project(str(path))
    os.environ["OMP_NUM_THREADS"] = "1"
    load_executor("local-parallel", cache).run_and_cache(timeout=SECONDS)


def assignment_facts(course: Course) -> str:
    """Deadline, late policy and points of Assignment 2, in Markdown."""
    policy = course.late_policy()
    lines = [f"**Deadline: {policy.deadline_in_words}.** {policy.in_words}", ""]
    lines += ["| notebook | points |", "| --- | --- |"]
    total = 0
    for path in course.notebooks("assignment2"):
        cells = read_notebook(path)["cells"]
        points = sum(cell["metadata"].get("nbgrader", {}).get("points", 0) for cell in cells)
        title = "".join(cells[0]["source"]).splitlines()[0].removeprefix("# ")
        lines.append(f"| {title} | {points} |")
        total += points
    return "\n".join([*lines, f"| **all** | **{total}** |", ""])


def finished(page: str) -> str:
    """A page without scripts that it has no use for, and in the roles that screen readers know."""
    if "<html" not in page:  # it only leads to another, and no browser need ask for its icon
        icon = '<link rel="icon" href="data:,"/>'
        return f'<!DOCTYPE html>\n<html lang="en"><head>{icon}{page}</head></html>\n'
    needless = ["fontawesome"]  # the icons come as a font, too
    if 'class="math' not in page:
        needless.append("tex-chtml")
    for script in needless:
        page = re.sub(rf"<script [^>]*/{script}\.js[^>]*></script>", "", page)
    return page.replace('role="doc-biblioentry"', 'role="listitem"')


def main() -> int:
    """Build the site; returns the exit status."""
    key = cache_key()
    if not KEY.is_file() or KEY.read_text() != key:
        shutil.rmtree(CACHE, ignore_errors=True)
        shutil.rmtree(BUILD / ".doctrees", ignore_errors=True)
    # Pages that are no longer in the table of contents must go; writing all takes seconds.
    shutil.rmtree(BUILD / "html", ignore_errors=True)
    BUILD.mkdir(exist_ok=True)
    KEY.write_text(key)
    ASSIGNMENT.write_text(assignment_facts(Course.at(ROOT / "assignments")))
    execute_chapters()
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    command = [jupyter_book, "build", ROOT, "--warningiserror", "--nitpick", "--keep-going"]
    status = subprocess.run(command, cwd=ROOT).returncode
    for page in (BUILD / "html").rglob("*.html"):
        page.write_text(finished(page.read_text("utf-8")), "utf-8")
    for report in sorted((BUILD / "html" / "reports").glob("**/*.err.log")):
        print(f"\n{report.stem}:\n{report.read_text()}", file=sys.stderr)
    if status:
        print(
            "book: the build failed; the first error or warning above is the reason",
            file=sys.stderr,
        )
    return status


if __name__ == "__main__":
    sys.exit(main())
