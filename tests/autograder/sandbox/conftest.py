"""One sandbox with small limits for all tests; a student process starts in milliseconds."""

import pytest

from autograder.sandbox.box import SandboxError
from autograder.sandbox.limits import Limits
from autograder.sandbox.session import Sandbox
from tests.autograder.conftest import skip_without_sandbox

LIMITS = Limits(
    cell_cpu_seconds=0.4,
    cell_wall_seconds=1.5,
    notebook_cpu_seconds=2,
    notebook_wall_seconds=6,
    memory_mib=200,
    processes=12,
    disk_mib=8,
    output_kib=32,
    reply_mib=2,
)


@pytest.fixture(scope="session")
def sandbox():
    try:
        started = Sandbox(LIMITS, preload=("numpy",))
    except SandboxError as error:
        skip_without_sandbox(str(error))
    with started:
        yield started


@pytest.fixture
def student(sandbox):
    with sandbox.start({"notes.txt": b"mine"}) as process:
        yield process


@pytest.fixture
def run(student):
    """Runs a cell and returns its result."""
    return student.run_cell


@pytest.fixture
def printed(run):
    """Runs a cell, which must succeed, and returns what it printed."""

    def text(source):
        result = run(source)
        assert result.state == "ok", result
        return "".join(output.get("text", "") for output in result.outputs)

    return text
