"""JupyterLab itself: an explorer through a live kernel, and marks by hand in formgrader."""

import json
import os
import shlex
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from autograder.authoring.leaks import gather, search
from autograder.authoring.samples import grade_staged
from autograder.course.folder import Course
from tests.autograder.conftest import ASSIGNMENT, REPOSITORY, small_class

CHAPTER = REPOSITORY / "chapters" / "01_alexnet.ipynb"
NEEDED = ("setup", "imports", "explorer")
BOOK = "3_residual_and_se"
# The instructor's answers in notebook 3.
ANSWERS = f'start = "source"\nnotebooks = ["{BOOK}.ipynb"]'
START_SECONDS = 90
LIVE_MS = 90_000  # a kernel that imports torch on a busy machine

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("live")]


def lab_command() -> list[str]:
    """What `make lab` runs."""
    lines = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "lab"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return shlex.split(lines[-1])


@contextmanager
def lab(folder: Path, home: Path) -> Iterator[str]:
    """Address of a JupyterLab on the folder, as `make lab` starts it; it ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = [str(folder) if part == "chapters" else part for part in lab_command()]
    start[0] = str(REPOSITORY / start[0])
    options = ["--no-browser", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    options += ["--IdentityProvider.token="]
    address = f"http://127.0.0.1:{port}"
    log = home / "jupyter.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [*start, *options],
            cwd=folder,
            env={**os.environ, "HOME": str(home)},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"{address}/api"):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, f"no answer\n{log.read_text()}"
            time.sleep(0.3)
        yield address
    finally:
        server.terminate()  # it ends its kernels
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home without anybody's settings."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_a_chapters_explorer_works_through_a_live_kernel(browser: Browser, home, tmp_path):
    chapter = json.loads(CHAPTER.read_text("utf-8"))
    chapter["cells"] = [cell for cell in chapter["cells"] if cell["id"] in NEEDED]
    assert len(chapter["cells"]) == len(NEEDED)
    folder = tmp_path / "chapters"
    folder.mkdir()
    (folder / CHAPTER.name).write_text(json.dumps(chapter), "utf-8")
    with lab(folder, home) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{address}/lab/tree/{CHAPTER.name}")
        page.locator(".jp-CodeCell").nth(len(NEEDED) - 1).wait_for(timeout=LIVE_MS)
        # What is asked to run before there is a kernel may never run.
        expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=LIVE_MS)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        explorer = page.locator(".jp-CodeCell").last
        picture, caption = explorer.locator("img.widget-image"), explorer.locator(".widget-html")
        picture.wait_for(timeout=LIVE_MS)
        assert page.locator('[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0
        slider = explorer.get_by_role("slider").first
        before = picture.get_attribute("src"), caption.inner_text()
        assert "kernel 3" in before[1]
        slider.focus()
        page.keyboard.press("ArrowRight")
        expect(caption).to_contain_text("kernel 5", timeout=LIVE_MS)
        expect(picture).not_to_have_attribute("src", before[0])
        page.keyboard.press("ArrowLeft")
        expect(caption).to_have_text(before[1], timeout=LIVE_MS)
        page.close()


def test_marks_and_comments_given_in_formgrader_come_back_in_the_feedback(
    browser: Browser, home, tmp_path
):
    course = small_class(Course.at(REPOSITORY / "assignments"), tmp_path, ada=ANSWERS)
    outcome, _ = grade_staged(course, ASSIGNMENT)
    assert not outcome.problems
    assert outcome.marks["ada"].exercises["degradation"] is None
    assert outcome.marks["ada"].total == 22
    with lab(course.root, home) as address:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(LIVE_MS)
        page.goto(f"{address}/lab")
        page.get_by_role("menuitem", name="Nbgrader", exact=True).click()
        page.get_by_role("menuitem", name="Formgrader", exact=True).click()
        inside = page.frame_locator("iframe[src*=formgrader]")
        inside.get_by_role("link", name="Manual Grading").click()
        inside.get_by_role("link", name=ASSIGNMENT).click()
        inside.get_by_role("link", name=BOOK).click()
        inside.get_by_role("link", name="Submission #1").click()

        cell = inside.locator(".nbgrader_cell", has=inside.locator("#degradation"))
        expect(inside.locator("input.needs_manual_grade")).to_have_count(1)
        expect(cell.locator("input.needs_manual_grade")).to_have_count(1)
        with page.expect_response("**/formgrader/api/grade/*"):
            cell.locator("input.score").fill("3.5")
            cell.locator("input.score").press("Tab")
        with page.expect_response("**/formgrader/api/comment/*"):
            cell.locator("textarea.comment").fill("Well argued: what would you measure first?")
            cell.locator("textarea.comment").press("Tab")
        expect(inside.locator("input.needs_manual_grade")).to_have_count(0)

        page.goto(f"{address}/formgrader/manage_assignments")
        page.locator(".generate-feedback a").click()
        expect(page.locator(".modal-body")).to_contain_text("Successfully generated feedback")
        page.close()

    feedback = course.root / "feedback" / "ada" / ASSIGNMENT
    text = (feedback / f"{BOOK}.html").read_text("utf-8")
    assert "Well argued: what would you measure first?" in text
    assert "(Score: 25.5 / 26.0)" in text
    assert "Score: 3.5 / 4.0" in text
    tests = [secret for secret in gather(course) if "hidden tests" in secret.origin]
    assert tests
    assert not search(feedback, tests)
