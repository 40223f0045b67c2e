"""The published pages in a real browser: nothing broken, nothing fetched from elsewhere."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize

from autograder.authoring.leaks import gather, search
from autograder.course.folder import Course
from tests.site.conftest import CONFIG, ROOT, SITE

SCHEMES = ("light", "dark")
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}

pytestmark = pytest.mark.slow
CHAPTERS = tuple(f"chapters/{path.stem}" for path in sorted((ROOT / "chapters").glob("*.ipynb")))
PAGES = (
    "intro",
    *CHAPTERS,
    "chapters/appendix/slide_by_slide",
    "chapters/appendix/figures_recomputed",
    "chapters/appendix/errata",
    "chapters/appendix/notation",
    "chapters/appendix/glossary",
    "guides/assignment2",
    "guides/student",
    "guides/instructor",
    "guides/maintainer",
    *(f"reference/{path.stem}" for path in sorted((ROOT / "reference").glob("*.md"))),
    "references",
)


# Pages that are found in no table of contents.
OTHERS = ("index.html", "search.html?q=bottleneck", "chapters/16_lost.html")


SCROLLED = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Texts whose colour is lighter than a middle grey, and grounds that are darker, as printed.
PALE_ON_PAPER = """() => {
  const light = (colour) => {
    const [r, g, b, alpha = 1] = colour.match(/[\\d.]+/g).map(Number);
    return alpha === 0 ? null : 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const wrong = [];
  for (const one of document.querySelectorAll("body, article, article *")) {
    const style = getComputedStyle(one);
    if (one.tagName !== "BODY" && !one.offsetParent || one.closest(".sd-btn, svg, mjx-container"))
      continue;
    const written = [...one.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    const ground = light(style.backgroundColor);
    if (written && light(style.color) > 128) wrong.push(`pale ${one.outerHTML.slice(0, 120)}`);
    if (ground !== null && ground < 128) wrong.push(`dark ground ${one.outerHTML.slice(0, 120)}`);
  }
  return wrong.slice(0, 5);
}"""


class Opened(NamedTuple):
    """A page of the site in a browser, and what went wrong while it opened."""

    name: str
    page: Page
    troubles: list[str]


def watch(page: Page, site: str) -> list[str]:
    """Everything that goes wrong on the page from now on."""
    troubles: list[str] = []
    page.on(
        "console", lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("requestfailed", lambda request: troubles.append(f"failed: {request.url}"))

    def check(request):
        if not request.url.startswith((site, "data:", "blob:")):
            troubles.append(f"asks another host: {request.url}")

    page.on("request", check)
    page.on(
        "response",
        lambda response: (
            troubles.append(f"{response.status}: {response.url}")
            if response.status >= 400
            else None
        ),
    )
    return troubles


def test_the_site_has_these_pages_and_no_others():
    found = {p.relative_to(SITE).with_suffix("").as_posix() for p in SITE.glob("**/*.html")}
    found -= {"404", "index", "genindex", "search", "_static/webpack-macros"}
    assert {name for name in found if not name.startswith("_static")} == set(PAGES)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of `opened` runs for every page, one of `chapter` for every chapter."""
    if "opened" in metafunc.fixturenames:
        pages = CHAPTERS if "chapter" in metafunc.fixturenames else PAGES
        metafunc.parametrize("opened", pages, indirect=True, scope="module")


@pytest.fixture(scope="module")
def opened(request: pytest.FixtureRequest, browser: Browser, site: str) -> Iterator[Opened]:
    """A page, loaded once for all that is looked at: both schemes, a phone, paper, its controls."""
    page = browser.new_page(viewport=DESKTOP, color_scheme="light", reduced_motion="reduce")
    troubles = watch(page, site)
    page.goto(f"{site}/{request.param}.html", wait_until="networkidle")
    yield Opened(request.param, page, troubles)
    page.close()


def show(page: Page, scheme: str = "light", viewport: ViewportSize = DESKTOP) -> None:
    """Switch the page to a colour scheme and a size of the window."""
    page.set_viewport_size(viewport)
    page.emulate_media(color_scheme=scheme)
    page.wait_for_selector(f"html[data-theme={scheme}]")


def test_a_page_opens_without_errors_and_asks_no_other_host(opened):
    for scheme in SCHEMES:
        show(opened.page, scheme)
    assert opened.page.locator("article h1").count() == 1
    assert not opened.troubles


def barriers(page: Page, *rules: str) -> str:
    """What axe finds serious, by these rules or by all."""
    options: dict[str, list[str]] = {"resultTypes": ["violations"]}  # twice as fast
    if rules:
        options["runOnly"] = list(rules)
    found = Axe().run(page, options=options).response["violations"]
    return "\n".join(
        f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
    )


def test_axe_finds_no_serious_barrier(opened):
    show(opened.page, "light")
    assert not barriers(opened.page)


def test_axe_finds_enough_contrast_in_the_dark_scheme_too(opened):
    show(opened.page, "dark")
    assert not barriers(opened.page, "color-contrast")


def test_nothing_scrolls_sideways_on_a_desktop_or_a_phone(opened):
    scrolled = {}
    for viewport in (DESKTOP, PHONE):
        for scheme in SCHEMES:
            show(opened.page, scheme, viewport)
            scrolled[scheme, viewport["width"]] = opened.page.evaluate(SCROLLED)
    assert max(scrolled.values()) <= 0, scrolled


def test_paper_is_white_and_its_text_dark(opened):
    pale = {}
    for scheme in SCHEMES:
        show(opened.page, scheme)
        opened.page.emulate_media(media="print")
        pale[scheme] = opened.page.evaluate(PALE_ON_PAPER)
        opened.page.emulate_media(media="screen")
    assert not any(pale.values()), pale


def test_a_page_says_when_it_was_changed_what_it_is_and_where_to_report_errors(opened):
    page = opened.page
    (report,) = page.locator(".report a").evaluate_all("links => links.map(link => link.href)")
    assert report.startswith(CONFIG["repository"]["url"])
    assert report.endswith(f"/issues/new?title=Error%20on%20the%20page%20{opened.name}")
    footer = page.locator("footer.bd-footer-content").text_content()
    assert re.search(r"Last updated on \d\d \w+ \d{4}", footer)
    about = {
        key: page.locator(f'meta[property="og:{key}"]').get_attribute("content")
        for key in ("title", "description", "image")
    }
    assert all(about.values())
    assert (SITE / about["image"].removeprefix(CONFIG["html"]["baseurl"])).is_file()


@pytest.mark.parametrize("name", OTHERS)
def test_a_page_outside_the_table_of_contents_meets_the_same_standard(browser, site, name):
    page = browser.new_page(viewport=DESKTOP, color_scheme="light", reduced_motion="reduce")
    troubles = watch(page, site)
    page.goto(f"{site}/{name}", wait_until="networkidle")
    if name == "index.html":
        page.wait_for_url("**/intro.html")
    if name.startswith("search"):
        page.wait_for_selector("#search-results li a")
    troubles = troubles.copy()  # without what axe asks for
    found, scrolled = "", []
    for scheme in SCHEMES:
        show(page, scheme)
        found += barriers(page)
        scrolled.append(page.evaluate(SCROLLED))
    page.close()
    if "lost" in name:  # the browser reports the page's own status 404 twice
        assert all("404" in one for one in troubles)
        del troubles[:2]
    assert not troubles
    assert not found
    assert max(scrolled) <= 0


@pytest.fixture
def chapter(opened: Opened) -> Iterator[Page]:
    """A chapter to use; nothing may go wrong with it meanwhile."""
    show(opened.page)
    before = opened.troubles.copy()  # axe asks for style sheets at addresses of its own
    yield opened.page
    assert opened.troubles == before


def test_formulas_are_typeset(chapter):
    assert chapter.locator("mjx-container").count() > 0
    assert chapter.locator("mjx-merror").count() == 0


def test_every_picture_has_a_text_alternative_of_its_own(chapter):
    pictures = chapter.locator("article img").evaluate_all("images => images.map(i => i.alt)")
    assert len(pictures) > 3
    assert all(len(alt) > 20 and "_build" not in alt for alt in pictures), pictures
    assert len(set(pictures)) == len(pictures)


def test_no_raw_markup_or_error_is_left_in_the_text(chapter):
    shown = chapter.locator("article").inner_text()
    for raw in ("{cite", "$$", "```", "Traceback", ":::", "| ---", "\n| "):
        assert raw not in shown


def test_every_slider_of_every_explorer_reacts_to_the_keyboard(chapter):
    assert chapter.locator("figure.explorer").count() > 0
    for explorer in chapter.locator("figure.explorer").all():
        image, caption = explorer.locator("img"), explorer.locator("figcaption")
        for control in explorer.locator(".explorer-controls p").all():
            slider = control.locator("input[type=range]")
            before = image.get_attribute("src"), caption.text_content(), slider.input_value()
            slider.focus()
            at_the_end = slider.input_value() == slider.get_attribute("max")
            chapter.keyboard.press("ArrowLeft" if at_the_end else "ArrowRight")
            after = image.get_attribute("src"), caption.text_content(), slider.input_value()
            assert all(old != new for old, new in zip(before, after, strict=True))
            assert image.get_attribute("alt") == caption.text_content()
            shown = control.locator("output").text_content()
            assert slider.get_attribute("aria-valuetext") == shown


def test_every_slider_of_every_explorer_reacts_to_the_mouse(chapter):
    for explorer in chapter.locator("figure.explorer").all():
        for slider in explorer.locator("input[type=range]").all():
            ends = []
            for share in (0.02, 0.98):
                box = slider.bounding_box()
                slider.click(position={"x": share * box["width"], "y": box["height"] / 2})
                ends.append((slider.input_value(), explorer.locator("img").get_attribute("src")))
            assert ends[0][0] == slider.get_attribute("min")
            assert ends[1][0] == slider.get_attribute("max")
            assert ends[0][1] != ends[1][1]


def test_a_quiz_answers_the_keyboard_with_a_sentence(chapter):
    question = chapter.locator("fieldset.quiz").first
    sentences = question.locator("p")
    assert not any(one.is_visible() for one in sentences.all())
    question.locator("input").first.focus()
    chapter.keyboard.press("Space")
    assert [one.is_visible() for one in sentences.all()] == [True] + [False] * (
        sentences.count() - 1
    )


def test_every_quiz_answers_the_mouse_first_wrong_then_right(chapter):
    assert chapter.locator("fieldset.quiz").count() > 0
    for question in chapter.locator("fieldset.quiz").all():
        sentences = question.locator("p")
        rights = [text.startswith("Right.") for text in sentences.all_text_contents()]
        assert rights.count(True) == 1
        for chosen in (rights.index(False), rights.index(True)):
            question.locator("label").nth(chosen).click()
            shown = [one.is_visible() for one in sentences.all()]
            assert shown == [number == chosen for number in range(len(rights))]


def test_every_folded_answer_unfolds(chapter):
    answers = chapter.locator("article section > details")
    assert answers.count() > 0
    for answer in answers.all():
        inside = answer.locator(":scope > :not(summary)").first
        assert not inside.is_visible()
        answer.locator("summary").click()
        assert inside.is_visible()


def test_a_chapter_leads_to_its_notebook_of_the_released_version(chapter):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    name = Path(chapter.url).stem
    links = chapter.locator("a").evaluate_all("links => links.map(link => link.href)")
    (colab,) = [link for link in links if link.startswith("https://colab.research.google.com")]
    path = colab.split(f"/blob/v{version}/")[1]
    assert path == f"chapters/{name}.ipynb"
    assert (ROOT / path).is_file()
    (source,) = {link for link in links if link.endswith(".ipynb") and "/_sources/" in link}
    downloaded = chapter.request.get(source).text()
    assert json.loads(downloaded) == json.loads((ROOT / path).read_text("utf-8"))


def test_no_chapter_failed_to_execute():
    assert not list((SITE / "reports").glob("**/*.log"))


def test_search_finds_the_chapter_on_bottlenecks(page, site):
    troubles = watch(page, site)
    page.goto(f"{site}/intro.html", wait_until="networkidle")
    page.keyboard.press("Control+k")
    page.locator("input[type=search]:visible").first.fill("bottleneck")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a")
    assert "07_resnet" in page.locator("#search-results").inner_html()
    assert not troubles


def test_a_missing_page_is_answered_by_one_with_style_that_leads_on(page, site):
    assert page.goto(f"{site}/chapters/16_lost.html", wait_until="networkidle").status == 404
    assert page.locator("article h1").inner_text().startswith("This page is not here")
    assert page.evaluate("document.styleSheets.length") > 1
    page.locator("nav a", has_text="ResNet").first.click()
    page.wait_for_url("**/chapters/07_resnet.html")


def test_a_chapter_downloads_as_a_notebook_that_opens(page, site):
    page.goto(f"{site}/chapters/07_resnet.html", wait_until="networkidle")
    page.locator(".dropdown-download-buttons > button").click()
    with page.expect_download() as download:
        page.locator(".btn-download-source-button").click()
    notebook = nbformat.read(download.value.path(), as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].source.startswith("# ResNet")


def test_the_sitemap_lists_every_page():
    listed = re.findall("<loc>(.+?)</loc>", (SITE / "sitemap.xml").read_text("utf-8"))
    assert {address.removeprefix(CONFIG["html"]["baseurl"]) for address in listed} == {
        f"{name}.html" for name in PAGES
    }


def test_the_first_page_is_light_and_shows_soon_on_a_slow_line(browser, site):
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    line = context.new_cdp_session(page)
    line.send("Network.enable")
    ten_megabit = 10_000_000 / 8
    line.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": 40,
            "downloadThroughput": ten_megabit,
            "uploadThroughput": ten_megabit,
        },
    )
    weights: list[int] = []
    line.on("Network.loadingFinished", lambda event: weights.append(event["encodedDataLength"]))
    page.add_init_script(
        "new PerformanceObserver(list => { window.largest = list.getEntries().at(-1).startTime; })"
        ".observe({ type: 'largest-contentful-paint', buffered: true });"
    )
    page.goto(f"{site}/intro.html", wait_until="networkidle")
    largest = page.evaluate("window.largest")
    context.close()
    assert 0 < sum(weights) < 1.5e6
    assert 0 < largest < 2000


def test_neither_site_nor_bundle_holds_a_hidden_test_or_a_solution():
    bundle = SITE.parent / "release" / "assignment2.zip"
    assert bundle.is_file(), "run `make release`, or `make test`, which does"
    secrets = gather(Course.at(SITE.parents[1] / "assignments"))
    ours = [path for path in SITE.rglob("*.*") if path.is_file() and "mathjax" not in path.parts]
    assert not [finding for place in (*ours, bundle) for finding in search(place, secrets)]


def test_the_site_holds_no_assignment_source():
    names = [str(p.relative_to(SITE)) for p in Path(SITE).rglob("*") if p.is_file()]
    assert not [name for name in names if "assignments" in name or "autograder" in name]
    index = json.dumps(names)
    assert "samples" not in index
