"""The published pages in a real browser: nothing broken, nothing fetched from elsewhere."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from autograder.course import Course
from autograder.leaks import gather, search
from tests.site.conftest import SITE

pytestmark = pytest.mark.slow
CHAPTERS = ("chapters/01_alexnet", "chapters/02_activations", "chapters/03_vgg")
PAGES = (
    "intro",
    *CHAPTERS,
    "chapters/appendix/slide_by_slide",
    "chapters/appendix/figures_recomputed",
    "guides/student",
    "guides/instructor",
    "guides/maintainer",
    "references",
)


@pytest.fixture
def page(browser: Browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


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
    found -= {"index", "genindex", "search", "_static/webpack-macros"}
    assert {name for name in found if not name.startswith("_static")} == set(PAGES)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_without_errors_and_asks_no_other_host(page, site, name, scheme):
    page.emulate_media(color_scheme=scheme)
    troubles = watch(page, site)
    page.goto(f"{site}/{name}.html", wait_until="networkidle")
    assert page.locator("article h1").count() == 1
    assert not troubles


@pytest.mark.parametrize("name", CHAPTERS)
def test_formulas_are_typeset(page, site, name):
    page.goto(f"{site}/{name}.html", wait_until="networkidle")
    assert page.locator("mjx-container").count() > 3
    assert page.locator("mjx-merror").count() == 0


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_picture_has_a_text_alternative_of_its_own(page, site, name):
    page.goto(f"{site}/{name}.html", wait_until="networkidle")
    pictures = page.locator("article img").evaluate_all("images => images.map(i => i.alt)")
    assert len(pictures) > 3
    assert all(len(alt) > 20 and "_build" not in alt for alt in pictures), pictures
    assert len(set(pictures)) == len(pictures)


@pytest.mark.parametrize("name", CHAPTERS)
def test_an_explorer_reacts_to_the_keyboard(page, site, name):
    page.goto(f"{site}/{name}.html", wait_until="networkidle")
    explorer = page.locator("figure.explorer").first
    slider = explorer.locator("input[type=range]").first
    image, caption = explorer.locator("img"), explorer.locator("figcaption")
    before = image.get_attribute("src"), caption.text_content(), slider.input_value()
    slider.focus()
    key = "ArrowRight" if slider.input_value() != slider.get_attribute("max") else "ArrowLeft"
    page.keyboard.press(key)
    after = image.get_attribute("src"), caption.text_content(), slider.input_value()
    assert all(old != new for old, new in zip(before, after, strict=True))
    assert image.get_attribute("alt") == caption.text_content()
    assert slider.get_attribute("aria-valuetext") == explorer.locator("output").first.text_content()


@pytest.mark.parametrize("name", CHAPTERS)
def test_folded_answers_unfold(page, site, name):
    page.goto(f"{site}/{name}.html", wait_until="networkidle")
    answer = page.locator("article section > details").first
    assert not answer.locator("p").first.is_visible()
    answer.locator("summary").click()
    assert answer.locator("p").first.is_visible()


@pytest.mark.parametrize("name", PAGES)
def test_nothing_scrolls_sideways_on_a_phone(browser, site, name):
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(f"{site}/{name}.html", wait_until="networkidle")
    width = page.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert width <= 390


@pytest.mark.parametrize("name", CHAPTERS)
def test_no_raw_markup_or_error_is_left_in_the_text(page, site, name):
    page.goto(f"{site}/{name}.html", wait_until="networkidle")
    shown = page.locator("article").inner_text()
    for raw in ("{cite", "$$", "```", "Traceback", ":::"):
        assert raw not in shown


def test_no_chapter_failed_to_execute():
    assert not list((SITE / "reports").glob("**/*.log"))


def test_search_finds_a_word_of_a_chapter(page, site):
    page.goto(f"{site}/search.html?q=receptive", wait_until="networkidle")
    page.wait_for_selector("#search-results li")
    assert "03_vgg" in page.locator("#search-results").inner_html()


def test_neither_site_nor_bundle_holds_a_hidden_test_or_a_solution():
    bundle = SITE.parent / "release" / "assignment2.zip"
    assert bundle.is_file(), "run `make release`, or `make test`, which does"
    secrets = gather(Course.at(SITE.parents[1] / "assignments"))
    assert not [finding for place in (SITE, bundle) for finding in search(place, secrets)]


def test_the_site_holds_no_assignment_source():
    names = [str(p.relative_to(SITE)) for p in Path(SITE).rglob("*") if p.is_file()]
    assert not [name for name in names if "assignments" in name or "autograder" in name]
    index = json.dumps(names)
    assert "samples" not in index
