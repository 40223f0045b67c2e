"""The whole book on paper and in e-readers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

from tests.site.conftest import SITE

PRINT = SITE.parent / "print"
CHAPTERS = sorted((Path(__file__).parents[2] / "chapters").glob("*.ipynb"))

pytestmark = pytest.mark.slow


def pictures(page: Path) -> int:
    """How many pictures a page of the site shows."""
    soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    return len(soup.select("article img"))


@pytest.fixture(scope="module")
def pdf() -> PdfReader:
    path = PRINT / "convnets-course.pdf"
    assert path.is_file(), "run `make print`, or `make test`, which does"
    return PdfReader(path)


def test_the_pdf_has_every_chapter_in_its_outline_and_every_picture(pdf):
    outline = json.dumps([entry.title for entry in flat(pdf.outline)], ensure_ascii=False)
    for path in CHAPTERS:
        title = "".join(json.loads(path.read_text("utf-8"))["cells"][0]["source"]).splitlines()[0]
        assert title.removeprefix("# ") in outline
    shown = sum(
        drawn.get_object().get("/Subtype") == "/Image"
        for page in pdf.pages
        for drawn in page["/Resources"].get("/XObject", {}).values()
    )
    assert shown >= sum(pictures(SITE / "chapters" / f"{path.stem}.html") for path in CHAPTERS)


def flat(outline: list) -> list:
    return [
        entry for part in outline for entry in (flat(part) if isinstance(part, list) else [part])
    ]


def test_the_pdf_has_formulas_typeset_answers_unfolded_and_long_tables_whole(pdf):
    text = "\n".join(page.extract_text() for page in pdf.pages)
    assert "\\frac" not in text
    assert "Answer to 1" in text
    assert "Loading ITables" not in text
    assert "stage4.2" in text.replace("\n", "")  # the last rows of the longest table


def test_no_link_of_the_pdf_leads_to_the_machine_that_made_it(pdf):
    for page in pdf.pages:
        for note in page.get("/Annots", []):
            action = note.get_object().get("/A", {})
            assert "127.0.0.1" not in str(action.get("/URI", ""))


def test_the_epub_is_valid():
    book = PRINT / "convnets-course.epub"
    command = [Path(sys.executable).with_name("epubcheck"), book]
    found = subprocess.run(command, capture_output=True, text=True)
    assert "ERROR" not in found.stdout + found.stderr
    assert "FATAL" not in found.stdout + found.stderr
    assert found.returncode == 0
