"""The whole book on paper and in e-readers."""

import json
import os
import re
import subprocess
import sys
import unicodedata
import zipfile
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

from autograder.authoring.leaks import gather, search
from autograder.course.folder import Course
from scripts import print as printing
from tests.site.conftest import ROOT, SITE

PRINT = SITE.parent / "print"
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))

pytestmark = pytest.mark.slow


def pictures(page: Path) -> int:
    """How many pictures a page of the site shows."""
    soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    return len(soup.select("article img"))


def computed(page: BeautifulSoup) -> list[str]:
    """The paragraphs without formulas that the cells of a page gave, bare."""
    lines = page.select(".cell_output > p:not(:has(.math, math))")
    return [bare(line.get_text()) for line in lines]


def bare(text: str) -> str:
    """Without white space and ligatures."""
    return "".join(unicodedata.normalize("NFKC", text).split())


@pytest.fixture(scope="module")
def pdf() -> PdfReader:
    path = PRINT / "convnets-course.pdf"
    assert path.is_file(), "run `make print`, or `make test`, which does"
    return PdfReader(path)


@pytest.fixture(scope="module")
def texts(pdf) -> list[str]:
    """The text of each page of the PDF."""
    return [page.extract_text() for page in pdf.pages]


def test_the_pdf_has_every_chapter_in_its_outline_and_every_picture(pdf):
    outline = json.dumps([entry.title for entry in flat(pdf.outline)], ensure_ascii=False)
    for path in CHAPTERS:
        title = "".join(json.loads(path.read_text("utf-8"))["cells"][0]["source"]).splitlines()[0]
        assert outline.count(title.removeprefix("# ")) == 1
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


def test_the_pdf_has_formulas_typeset_answers_unfolded_and_long_tables_whole(texts):
    text = "\n".join(texts)
    assert "\\frac" not in text
    assert "Answer to 1" in text
    assert "Loading ITables" not in text
    assert "stage4.2" in text.replace("\n", "")  # the last rows of the longest table


def test_the_pdf_says_what_the_site_computed(texts):
    text = bare("".join(re.sub(r"\s*\d+\s*$", "", page) for page in texts))
    for path in CHAPTERS:
        page = SITE / "chapters" / f"{path.stem}.html"
        for paragraph in computed(BeautifulSoup(page.read_text("utf-8"), "html.parser")):
            assert paragraph in text


def test_no_link_of_the_pdf_leads_to_the_machine_that_made_it(pdf):
    for page in pdf.pages:
        for note in page.get("/Annots", []):
            action = note.get_object().get("/A", {})
            assert "127.0.0.1" not in str(action.get("/URI", ""))


def test_the_epub_has_every_picture_formula_and_computed_sentence_of_the_site():
    with zipfile.ZipFile(PRINT / "convnets-course.epub") as epub:
        for path in CHAPTERS:
            name = f"chapters/{path.stem}"
            page = BeautifulSoup((SITE / f"{name}.html").read_text("utf-8"), "html.parser")
            read = BeautifulSoup(epub.read(f"{name}.xhtml"), "html.parser")
            assert len(read.select("img")) == len(page.select("article img")) > 0
            assert computed(read) == computed(page)
            assert len(read.select("math")) == len(page.select("article .math")) > 0


def test_no_page_of_the_epub_is_wider_than_a_readers_screen(browser, tmp_path):
    with zipfile.ZipFile(PRINT / "convnets-course.epub") as epub:
        epub.extractall(tmp_path)
    page = browser.new_page(viewport={"width": 560, "height": 800})
    for path in sorted(tmp_path.rglob("*.xhtml")):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 560, path.name
        assert not page.query_selector("details:not([open])")
    page.close()


def test_no_download_holds_a_hidden_test_or_a_solution(texts, tmp_path):
    text = tmp_path / "convnets-course.txt"
    text.write_text("\n".join(texts), "utf-8")
    notebooks = tmp_path / "notebooks.zip"
    command = ["git", "archive", "--format=zip", f"--output={notebooks}", "HEAD", "chapters"]
    subprocess.run(command, cwd=ROOT, check=True)
    assert {path.name for path in CHAPTERS} <= {
        Path(name).name for name in zipfile.ZipFile(notebooks).namelist()
    }
    secrets = gather(Course.at(ROOT / "assignments"))
    for download in (text, notebooks, PRINT / "convnets-course.epub"):
        assert not search(download, secrets)


def test_files_made_from_the_same_site_are_kept(monkeypatch, capsys):
    monkeypatch.setattr(printing, "make_pdf", lambda: pytest.fail("made again"))
    assert printing.main() == 0
    assert "is up to date" in capsys.readouterr().out


def test_without_chromium_nothing_is_printed_and_the_old_files_stay(monkeypatch, capsys):
    before = sorted(PRINT.iterdir())
    monkeypatch.setattr(printing, "made_from", lambda: "another site")
    monkeypatch.setattr("scripts.browser.NAMES", ())
    assert printing.main() == 1
    assert "run `scripts/setup.sh browser`" in capsys.readouterr().err
    assert sorted(PRINT.iterdir()) == before


def test_the_epub_is_valid():
    book = PRINT / "convnets-course.epub"
    command = [Path(sys.executable).with_name("epubcheck"), book]
    # Java's first compiler is enough for one book, and takes half of the time.
    options = {"JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
    found = subprocess.run(command, env=os.environ | options, capture_output=True, text=True)
    assert "ERROR" not in found.stdout + found.stderr
    assert "FATAL" not in found.stdout + found.stderr
    assert found.returncode == 0
