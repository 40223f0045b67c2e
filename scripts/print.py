"""Make the whole book as PDF and as EPUB, in _build/print; `make book` has executed its chapters.

Files that were made from the same site are kept.

The PDF is the book on one page, printed by Chromium. The EPUB is Sphinx's own, with pages made into
valid XHTML and formulas into MathML, since readers run no scripts.
"""

import functools
import hashlib
import http.server
import logging
import re
import shutil
import sys
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from bs4 import BeautifulSoup
from jupyter_book.config import get_final_config
from latex2mathml.converter import convert
from playwright.sync_api import sync_playwright
from pypdf import PdfWriter
from pypdf.generic import Destination, NameObject, TextStringObject
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from scripts.browser import executable, launch

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
OUT = BUILD / "print"
NAME = "convnets-course"
KEY = OUT / ".made-from"
OPF = "http://www.idpf.org/2007/opf"
# Extensions that make a website only, and how their options begin.
OF_A_SITE = (
    "notfound.extension",
    "sphinx_book_theme",
    "sphinx_last_updated_by_git",
    "sphinx_sitemap",
    "sphinxext.opengraph",
)
OPTIONS_OF_A_SITE = ("git_", "notfound_", "ogp_", "sitemap_")
# Answers unfold; links between pages become links within the one page.
READY_FOR_PAPER = """() => {
  document.querySelectorAll("details:not(.hide)").forEach(answer => { answer.open = true; });
  for (const link of document.querySelectorAll("a[href]")) {
    const to = new URL(link.href);
    if (to.origin === location.origin && to.pathname !== location.pathname)
      link.href = to.hash || "#document-" + to.pathname.slice(1).replace(/\\.html$/, "");
  }
}"""

HEADINGS = """() => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6, [role=heading]")]
  .filter((heading) => heading.checkVisibility())
  .map((heading) => heading.textContent.replace(/#$/, "").trim())"""


def main() -> int:
    """Make both files; returns the exit status."""
    if not (BUILD / "html" / "index.html").is_file():
        print("print: the site is not built; run `make book` first", file=sys.stderr)
        return 1
    key = made_from()
    if KEY.is_file() and KEY.read_text() == key:
        print(f"print: {OUT.relative_to(ROOT)} is up to date")
        return 0
    try:
        executable()
    except FileNotFoundError as error:
        print(f"print: {error}", file=sys.stderr)
        return 1
    ElementTree.register_namespace("", OPF)
    ElementTree.register_namespace("dc", "http://purl.org/dc/elements/1.1/")
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    with ProcessPoolExecutor(max_workers=1) as beside:
        epub = beside.submit(make_epub)
        print(f"print: {make_pdf().relative_to(ROOT)}")
        print(f"print: {epub.result().relative_to(ROOT)}")
    KEY.write_text(key)
    return 0


def made_from() -> str:
    """Digest of what both files depend on: the site, and how they are made from it."""
    digest = hashlib.sha256()
    lock = ROOT / "requirements.lock"
    for path in sorted([*(BUILD / "html").rglob("*"), *Path(__file__).parent.iterdir(), lock]):
        if path.is_file():
            digest.update(path.relative_to(ROOT).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def make_pdf() -> Path:
    """Make the book as one page, and print it."""
    return print_pdf(built("singlehtml", config()), OUT / f"{NAME}.pdf")


def make_epub() -> Path:
    """Make the book for readers."""
    return declare_mathml(built("epub", for_readers(config())) / f"{NAME}.epub", OUT)


def config() -> dict[str, Any]:
    """The book's configuration, as Jupyter Book reads it."""
    values, _ = get_final_config(
        user_yaml=ROOT / "_config.yml",
        cli_config={"latex_individualpages": False},
        sourcedir=ROOT,
    )
    values["external_toc_path"] = str(ROOT / "_toc.yml")
    return values


def for_readers(values: dict[str, Any]) -> dict[str, Any]:
    """The configuration of the EPUB."""
    kept = {name: v for name, v in values.items() if not name.startswith(OPTIONS_OF_A_SITE)}
    return {
        **kept,
        "extensions": [name for name in values["extensions"] if name not in OF_A_SITE],
        "project": values["html_title"],
        "version": values["html_theme_options"]["repository_branch"],
        "epub_basename": NAME,
        "epub_identifier": NAME,
        "epub_uid": NAME,
        "epub_publisher": values["author"],
        "epub_show_urls": "no",
        "epub_tocscope": "includehidden",
        "epub_use_index": False,
        "epub_css_files": ["course.css", "reader.css"],
        # What lies in _static/ is on every page of the site.
        "html_static_path": [*kept["html_static_path"], "scripts/reader.css"],
        "html_logo": "",
        "html_favicon": "",
        "epub_exclude_files": ["sitemap.xml"],
    }


def built(builder: str, values: dict[str, Any]) -> Path:
    """Let Sphinx write the book; outputs come from the cache of executed chapters."""
    folder = BUILD / f".print-{builder}"  # of its own, since both are written at once
    shutil.rmtree(folder, ignore_errors=True)
    out = folder / builder
    with docutils_namespace():
        app = Sphinx(
            ROOT,
            None,
            out,
            folder / "doctrees",
            builder,
            confoverrides=values,
            status=None,
            warningiserror=True,
            freshenv=True,  # Sphinx sees when a page changes, but not when its outputs do
        )
        if builder == "epub":
            app.connect("html-page-context", _clean)
        app.build()
    if app.statuscode:
        raise SystemExit(f"print: Sphinx could not write the {builder}; see the warnings above")
    return out


def _clean(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    if "body" in context:
        context["body"] = as_xhtml(context["body"])
    context["css_files"] = [file for file in context["css_files"] if "mystnb" not in file.filename]


def as_xhtml(page: str) -> str:
    """A page's HTML as XHTML that needs no script.

    Formulas become MathML, explorers become pictures, and answers are unfolded.
    """
    soup = BeautifulSoup(page, "html.parser")
    show_long_tables(soup)
    for needless in soup.select(
        "style, script, svg, button, .explorer-controls, details.hide, .headerlink"
    ):
        needless.decompose()
    for hidden in soup.select("noscript"):
        hidden.unwrap()
    for answer in soup.select("details"):
        answer["open"] = "open"
    for link in soup.select("a[href]"):
        link["href"] = re.sub(r"^(?!\w+:)(.*)\.html(#|$)", r"\1.xhtml\2", link["href"])
    for entry in soup.select("[role=doc-biblioentry]"):
        del entry["role"]
    for formula in soup.select(".math"):
        source = re.sub(r"^\s*\\[(\[]|\\[)\]]\s*$", "", formula.get_text()).strip()
        display = "block" if formula.name == "div" else "inline"
        formula.replace_with(BeautifulSoup(convert(source, display=display), "html.parser"))
    return soup.decode(formatter="minimal")


def show_long_tables(soup: BeautifulSoup) -> None:
    """Leave of a table with a search field what it shows to readers without scripts: all rows."""
    for part in soup.select(".cell_output script, table[hidden]"):
        part.decompose()
    for output in soup.select('.output:has(a[href*="itables.org"])'):
        if not output.find("table"):
            output.decompose()


def declare_mathml(epub: Path, folder: Path) -> Path:
    """Copy `epub` into `folder`, its list of contents saying which pages hold formulas."""
    with zipfile.ZipFile(epub) as old, zipfile.ZipFile(folder / epub.name, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename.endswith("content.opf"):
                contents = ElementTree.fromstring(data)
                for item in contents.iterfind(f".//{{{OPF}}}item"):
                    page = item.get("href", "")
                    if page.endswith(".xhtml") and b"<math" in old.read(page):
                        item.set("properties", "mathml")
                data = ElementTree.tostring(contents, "utf-8", xml_declaration=True)
            new.writestr(entry, data)
    return folder / epub.name


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a line for each file."""

    def log_message(self, *_: object) -> None:
        pass


def print_pdf(site: Path, pdf: Path) -> Path:
    """Print the one page of `site` on A4, with outline and page numbers."""
    text = site / "intro.html"
    soup = BeautifulSoup(text.read_text("utf-8"), "html.parser")
    show_long_tables(soup)
    text.write_text(str(soup), "utf-8")
    handler = functools.partial(Quiet, directory=site)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(color_scheme="light")
        page.set_default_timeout(300_000)
        page.goto(f"http://127.0.0.1:{server.server_port}/intro.html", wait_until="load")
        page.wait_for_function("window.MathJax && MathJax.startup && MathJax.startup.promise")
        page.evaluate("MathJax.startup.promise")
        page.evaluate(READY_FOR_PAPER)
        page.pdf(
            path=pdf,
            format="A4",
            scale=0.8,
            outline=True,
            tagged=True,
            print_background=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=(
                '<div style="font-size: 8px; text-align: center; width: 100%">'
                '<span class="pageNumber"></span></div>'
            ),
            margin={"top": "18mm", "bottom": "18mm", "left": "18mm", "right": "18mm"},
        )
        page.emulate_media(media="print")
        headings = page.evaluate(HEADINGS)
        browser.close()
    server.shutdown()
    return name_outline(pdf, headings)


def name_outline(pdf: Path, headings: list[str]) -> Path:
    """Give the entries of the PDF's outline the headings' own words.

    Chromium writes a heading twice that moved to the next page, and joins words where one wraps.
    """
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # Chromium counts its objects too low
    writer = PdfWriter(clone_from=pdf)
    for entry, heading in zip(_flat(writer.outline), headings, strict=True):
        if entry.node is not None:
            entry.node[NameObject("/Title")] = TextStringObject(heading)
    writer.write(pdf)
    return pdf


def _flat(outline: list[Any]) -> Iterator[Destination]:
    for part in outline:
        if isinstance(part, list):
            yield from _flat(part)
        else:
            yield part


if __name__ == "__main__":
    sys.exit(main())
