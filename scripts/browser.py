"""The browser that prints the book and tests the site."""

import shutil

from playwright.sync_api import Browser, Playwright

# The headless shell has no windows and takes half the processor time of the others.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser")


def executable() -> str:
    """The path of Chromium, which `scripts/setup.sh browser` installs.

    Raises:
        FileNotFoundError: it is not installed.
    """
    for path in map(shutil.which, NAMES):
        if path:
            return path
    raise FileNotFoundError("Chromium is not installed; run `scripts/setup.sh browser`")


def launch(playwright: Playwright) -> Browser:
    """Start Chromium without a window.

    Raises:
        FileNotFoundError: it is not installed.
    """
    options = ["--no-sandbox", "--disable-gpu"]
    return playwright.chromium.launch(executable_path=executable(), args=options)
