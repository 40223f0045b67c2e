"""The built site, served as it will be published, in a real browser."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, Page, sync_playwright

from scripts.browser import launch

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html"
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
# The path under which Pages publishes it.
PREFIX = CONFIG["sphinx"]["config"]["notfound_urls_prefix"].rstrip("/")


class Published(http.server.SimpleHTTPRequestHandler):
    """Files under the prefix; a missing page is answered with the site's 404 page."""

    def translate_path(self, path: str) -> str:
        return super().translate_path(path.removeprefix(PREFIX))

    def send_error(self, code: int, *args: object, **kwargs: object) -> None:
        page = (SITE / "404.html").read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *args: object) -> None:
        pass


# A few pages of each kind, which come from the same templates and style sheets.
KINDS_OF_PAGES = (
    *("intro", "chapters/02_activations", "chapters/07_resnet", "chapters/11_densenet"),
    *("chapters/13_architecture_search", "chapters/appendix/errata", "guides/assignment2"),
    *("guides/student", "reference/layers"),
)


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group the tests of each page, and leave axe and paper of most pages to `make test-all`."""
    for item in items:
        if item.path.parent != Path(__file__).parent:
            continue
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        page = parameters.get("opened")
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(page or item.path.stem))
        is_expensive = item.name.startswith(("test_axe", "test_paper"))
        if page and page not in KINDS_OF_PAGES and is_expensive:
            item.add_marker("sweep")


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """Address of the site; `make book` builds it."""
    if not (SITE / "index.html").is_file():
        pytest.fail("the site is not built; run `make book`, or `make test`, which does")
    handler = functools.partial(Published, directory=SITE)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
    server.shutdown()


@pytest.fixture(scope="package")  # as long as it is open, no other event loop can run
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()
