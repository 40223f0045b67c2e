"""The browser that prints the book and tests the site."""

import shutil

from playwright.sync_api import Browser, Playwright

# The first, without windows and much else, takes half the processor time of the others.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser")


def launch(playwright: Playwright) -> Browser:
    """Start Chromium, which `scripts/setup.sh browser` installs.

    Raises:
        FileNotFoundError: none is installed.
    """
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        raise FileNotFoundError("no Chromium here; run `scripts/setup.sh browser`")
    return playwright.chromium.launch(
        executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
    )
