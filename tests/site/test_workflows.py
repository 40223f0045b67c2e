"""The workflows call make targets only, and nothing that can change under its name."""

import re
from pathlib import Path

import pytest
import yaml

from tests.site.conftest import CONFIG, ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
# What prepares the machine, or speaks to GitHub; all else is a make target.
PREPARES = ("sudo sysctl -w ", "sudo apt-get update && sudo apt-get install ", "gh ", "test ")


def steps(path: Path) -> list[dict]:
    jobs = yaml.safe_load(path.read_text("utf-8"))["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def test_there_are_workflows():
    assert {path.stem for path in WORKFLOWS} == {"check", "publish", "weekly"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_digest(path):
    for step in steps(path):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_command_can_be_tried_without_a_server(path):
    commands = [step["run"] for step in steps(path) if "run" in step]
    for command in commands:
        assert "\n" not in command.strip()
        if command == ".ci/run":
            assert (ROOT / command).is_file()
        elif command.startswith("make "):
            called = [word for word in command.split()[1:] if "=" not in word]
            assert called
            assert set(called) <= TARGETS
        else:
            assert command.startswith(PREPARES)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_only_read_unless_a_job_says_more(path):
    workflow = yaml.safe_load(path.read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}


def test_a_newest_dependency_that_breaks_something_is_reported_with_the_lock_that_did():
    weekly = yaml.safe_load((ROOT / ".github/workflows/weekly.yml").read_text("utf-8"))
    for job in weekly["jobs"].values():
        assert job["permissions"]["issues"] == "write"
        (report,) = [s for s in job["steps"] if s.get("run", "").startswith("gh issue create")]
        assert report["if"] == "failure()"
    kept = [step for step in weekly["jobs"]["newest"]["steps"] if step.get("if") == "always()"]
    assert [step["with"]["path"] for step in kept] == ["requirements.lock"]


def test_a_tag_that_the_sites_buttons_do_not_name_is_refused_first():
    publish = yaml.safe_load((ROOT / ".github/workflows/publish.yml").read_text("utf-8"))
    runs = [step["run"] for step in publish["jobs"]["build"]["steps"] if "run" in step]
    assert "$GITHUB_REF_NAME" in runs[0]
    assert "_config.yml" in runs[0]


def test_no_hub_is_linked_until_one_is_named():
    config = (ROOT / "_config.yml").read_text("utf-8")
    for hub in ("jupyterhub_url", "binderhub_url"):
        assert hub not in CONFIG["launch_buttons"]
        assert f"# {hub}: https://" in config
