"""One box with small limits for all tests; a student process takes milliseconds."""

import pytest

from autograder.sandbox.box import SandboxError
from autograder.sandbox.limits import Limits
from autograder.sandbox.session import Sandbox

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
def box():
    try:
        with Sandbox(LIMITS, preload=("numpy",)) as sandbox:
            yield sandbox
    except SandboxError as error:
        pytest.skip(str(error))


@pytest.fixture
def student(box):
    with box.start({"notes.txt": b"mine"}) as process:
        yield process


@pytest.fixture
def run(student):
    """Runs a cell and gives its result."""
    return student.run_cell


@pytest.fixture
def printed(run):
    """Runs a cell, which must be all right, and gives what it printed."""

    def text(source):
        result = run(source)
        assert result.state == "ok", result
        return "".join(output.get("text", "") for output in result.outputs)

    return text
