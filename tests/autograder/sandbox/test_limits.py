"""Every excess ends at its limit, with an ending and a sentence that names the limit."""

import os
import signal
import time
from dataclasses import replace

import pytest

from autograder.errors import CourseError
from autograder.sandbox.box import SandboxError
from autograder.sandbox.limits import Limits, Spent
from autograder.sandbox.results import StudentEnded
from autograder.sandbox.session import Sandbox
from autograder.sandbox.watch import GRACE, host_pid
from tests.autograder.sandbox.conftest import LIMITS

pytestmark = pytest.mark.slow  # together they wait for half a minute
SLACK = 1.0  # seconds that a busy machine may add


@pytest.fixture(autouse=True)
def others_are_not_disturbed(sandbox):
    yield
    with sandbox.start() as other:
        assert other.run_cell("1").state == "ok"


def test_an_endless_loop_is_out_of_time_and_the_next_cell_runs(run):
    result = run("x = 7\nwhile True: pass")
    assert result.state == "out of time"
    assert "0.4 seconds of processor time" in result.sentence
    assert result.alive
    assert run("assert x == 7").state == "ok"


def test_a_long_sleep_is_out_of_time(run):
    result = run("import time; time.sleep(60)")
    assert result.state == "out of time"
    assert "more than 1.5 seconds" in result.sentence
    assert result.seconds < 1.5 + SLACK


@pytest.mark.parametrize(
    "loop",
    [
        "import signal; signal.signal(2, signal.SIG_IGN)\nwhile True: pass",
        "import signal, time; signal.pthread_sigmask(0, range(1, 65)); time.sleep(60)",
        "sum(range(10**12))",
        "import sys; sys.modules['torch'].ones(3000, 3000).matrix_power(10**9)",
    ],
)
def test_a_cell_that_ignores_sigint_is_killed(run, loop):
    result = run(loop)
    assert result.state == "out of time"
    assert not result.alive
    assert result.seconds < 1.5 + GRACE + SLACK


def test_processes_that_a_cell_starts_count_for_its_time(run):
    result = run(
        "import os\nfor _ in range(4):\n    if not os.fork():\n        while True: pass\n"
        "import time; time.sleep(60)"
    )
    assert "processor time" in result.sentence


def test_the_time_of_a_notebooks_cells_adds_up(sandbox):
    results = []
    with sandbox.start() as student:
        for _ in range(100):
            results.append(student.run_cell("sum(range(10**7))"))
            if not results[-1].alive:
                break
    assert results[0].state == "ok"
    assert results[-1].state == "out of time"
    assert "notebook" in results[-1].sentence


def test_a_hung_import_is_out_of_time(run):
    result = run("open('slow.py', 'w').write('import time; time.sleep(60)')\nimport slow")
    assert result.state == "out of time"


def test_input_is_not_waited_for(run):
    result = run("input('name? ')")
    assert result.state == "failed"
    assert result.seconds < SLACK


def test_the_limit_on_processes_binds(printed):
    source = (
        "import os, time\ncount = 0\ntry:\n    for _ in range(40):\n        if not os.fork():\n"
        "            time.sleep(0.3); os._exit(0)\n        count += 1\n"
        "except BlockingIOError: pass\nprint(count)"
    )
    assert int(printed(source)) < 12


def test_a_fork_bomb_ends_in_time(run):
    result = run("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass")
    assert result.state == "out of time"


def test_threads_count_as_processes(printed):
    source = (
        "import threading, time\ncount = 0\ntry:\n    for _ in range(40):\n"
        "        threading.Thread(target=time.sleep, args=(0.2,)).start(); count += 1\n"
        "except RuntimeError: pass\nprint(count)"
    )
    assert int(printed(source)) < 12


def test_memory_that_is_used_step_by_step_is_out_of_memory(run):
    result = run("hog = []\nwhile True: hog.append(b'x' * 2**24)")
    assert result.state == "out of memory"
    assert "200 MiB" in result.sentence


def test_one_huge_tensor_is_out_of_memory_and_the_next_cell_runs(run):
    result = run("import torch; torch.ones(2**34)")
    assert result.state == "out of memory"
    assert result.alive
    assert run("1").state == "ok"


def test_memory_of_several_processes_adds_up(run):
    result = run(
        "import os, time\nfor _ in range(4):\n    if not os.fork():\n"
        "        hog = bytearray(b'x' * 2**20 * 80); time.sleep(60)\ntime.sleep(60)"
    )
    assert result.state == "out of memory"


def test_memory_that_forked_processes_share_counts_once(run):
    result = run(
        "import os, time\nshared = bytearray(b'x') * (2**20 * 120)\nfor _ in range(4):\n"
        "    if not os.fork(): time.sleep(0.3); os._exit(0)\ntime.sleep(0.4)"
    )
    assert result.state == "ok"


@pytest.mark.parametrize("folders", [["/tmp"], ["/dev/shm"], ["."], ["/tmp", "/dev/shm", "."]])
def test_a_full_disk_is_an_error_of_the_cell(run, folders):
    result = run(
        f"for n in range({9 // len(folders)}):\n    for folder in {folders}:\n"
        "        with open(f'{folder}/{n}', 'wb') as file: file.write(bytes(2**20))"
    )
    assert result.state == "failed"
    assert result.outputs[-1]["ename"] == "OSError"
    assert "No space left" in result.outputs[-1]["evalue"]


def test_a_million_empty_files_end_in_an_error(run):
    result = run("for n in range(10**6): open(str(n), 'w').close()")
    assert result.state in ("failed", "out of time")


@pytest.mark.parametrize(
    "files",
    [
        {"weights.pt": bytes(9 * 2**20)},
        {f"{number}.txt": b"" for number in range(20_001)},
        {"a" * 300: b""},
        {"../../secret": b""},
        {"folder": b"", "folder/file": b""},
    ],
    ids=["large", "many", "long name", "outside", "file and folder"],
)
def test_files_that_do_not_fit_are_an_error_of_the_submission(sandbox, files):
    with pytest.raises(CourseError, match="8 MiB") as caught:
        sandbox.start(files)
    assert not isinstance(caught.value, SandboxError)


def test_excessive_printing_is_cut(run):
    result = run("line = 'x' * 2**20\nfor _ in range(1024): print(line)")
    assert result.state == "ok"
    assert "32 KiB" in result.sentence
    assert sum(len(output["text"]) for output in result.outputs) <= 32 * 1024


@pytest.mark.parametrize(
    "flood",
    [
        "import sys\nfor _ in range(5000): print('', end=''); print(1, file=sys.stderr); print(2)",
        "from IPython.display import display, HTML\nfor _ in range(999): display(HTML('x' * 999))",
        "for _ in range(5): get_ipython().showtraceback()",
        "import os\nfor _ in range(1000): os.write(1, b'x' * 2**20)",
        "raise ValueError('x' * 2**24)",
        "'x' * 2**24",
    ],
)
def test_every_kind_of_excessive_output_is_cut(run, flood):
    result = run(flood)
    assert result.state in ("ok", "failed")
    assert len(repr(result.outputs)) < 300_000


def test_deep_recursion_is_an_error_of_the_cell(run):
    result = run("def f(): return f()\nf()")
    assert result.outputs[-1]["ename"] == "RecursionError"


CRASHES = {
    "import ctypes; ctypes.string_at(0)": "Segmentation fault",
    "import sys; sys.setrecursionlimit(10**9)\ndef f(x): return [f(x)]\nf(1)": "",
    "import os; os._exit(0)": "ended its own process",
    "import os; os._exit(3)": "ended its own process",
    "import os; os.abort()": "",
    "import os; os.closerange(0, 99)": "",
    "import os; os.close(3)": "",
    "import os; os.dup2(0, 3)": "",
}


@pytest.mark.parametrize("source", CRASHES)
def test_a_crash_ends_only_its_own_process(sandbox, source):
    with sandbox.start() as student:
        assert student.run_cell("x = 1").state == "ok"
        result = student.run_cell(source)
        assert result.state in ("crashed", "out of memory", "out of time")
        assert CRASHES[source] in result.sentence
        assert not result.alive
        assert result.seconds < 1.5 + GRACE + SLACK
        again = student.run_cell("1")
        assert again.state == result.state
        assert again.sentence == result.sentence
        with pytest.raises(StudentEnded):
            student.call("f")
    with sandbox.start() as fresh:
        assert fresh.run_cell("x = 1").state == "ok"


def test_a_process_that_is_killed_from_outside_is_reported_as_killed(sandbox):
    with sandbox.start() as student:
        os.kill(host_pid(student._pidfd), signal.SIGKILL)
        result = student.run_cell("1")
    assert result.state == "killed"
    assert "killed from outside" in result.sentence


def test_time_and_output_of_earlier_processes_count(sandbox):
    spent = Spent()
    with sandbox.start({}, spent) as student:
        student.run_cell("import time; time.sleep(0.2); print('x' * 1000)")
        student.run_cell("sum(range(10**7))")
    assert spent.wall_seconds > 0.2
    assert spent.output > 1000
    spent.wall_seconds = 5.9
    with sandbox.start({}, spent) as student:
        result = student.run_cell("import time; time.sleep(5)")
    assert "notebook" in result.sentence
    assert result.seconds < SLACK


def test_an_exit_is_a_failed_cell(run):
    assert run("raise SystemExit").state == "failed"
    assert run("1").state == "ok"


def test_a_thread_that_runs_on_between_cells_is_limited(sandbox):
    with sandbox.start() as student:
        student.run_cell(
            "import threading\ndef hog():\n    kept = []\n"
            "    while True: kept.append(bytearray(b'x' * 2**20))\n"
            "threading.Thread(target=hog, daemon=True).start()"
        )
        time.sleep(0.6)
        assert student.run_cell("1").state == "out of memory"


@pytest.mark.parametrize("value", [0, -1, "5", True, float("nan")])
def test_a_limit_is_a_number_above_zero(value):
    with pytest.raises(ValueError, match="memory_mib must be a number above 0"):
        Limits(memory_mib=value)


@pytest.fixture(scope="module")
def trusting_sandbox():
    """A sandbox that trusts student code."""
    with Sandbox(replace(LIMITS, cell_cpu_seconds=1), preload=(), isolated=False) as sandbox:
        yield sandbox


TRUSTED = {
    "while True: pass": ("out of time", "the limit of a cell"),
    "import time; time.sleep(60)": ("out of time", "more than 1.5 seconds"),
    "import signal, time; signal.pthread_sigmask(0, range(1, 65)); time.sleep(60)": (
        "out of time", "more than 1.5 seconds",
    ),
    "hog = []\nwhile True: hog.append(b'x' * 2**24)": ("out of memory", "200 MiB"),
    "import torch; torch.ones(2**34)": ("out of memory", "200 MiB"),
    "while True: print('x' * 1000)": ("out of time", ""),
    "line = 'x' * 2**20\nfor _ in range(99): print(line)": ("ok", "32 KiB"),
    "with open('big', 'wb') as file: file.write(bytes(9 * 2**20))": ("failed", ""),
    "import ctypes; ctypes.string_at(0)": ("crashed", "Segmentation fault"),
    "import os; os._exit(0)": ("crashed", "ended its own process"),
    "import os\nfor _ in range(3):\n    if not os.fork():\n        while True: pass\n"
    "import time; time.sleep(60)": ("out of time", ""),
    # The child holds the connection to the grader open.
    "import os, signal, time\nsignal.signal(2, signal.SIG_IGN)\nos.fork()\ntime.sleep(60)": (
        "out of time", "more than 1.5 seconds",
    ),
}  # fmt: skip


@pytest.mark.xdist_group("trusted")
@pytest.mark.parametrize(("source", "end"), TRUSTED.items())
def test_limits_hold_without_isolation(trusting_sandbox, source, end):
    with trusting_sandbox.start() as student:
        result = student.run_cell(source)
    state, sentence = end
    assert result.state == state
    assert sentence in result.sentence
    assert result.seconds < 1.5 + GRACE + SLACK
    with trusting_sandbox.start() as other:
        assert other.run_cell("1").state == "ok"


@pytest.mark.xdist_group("trusted")
def test_without_isolation_nothing_outlives_its_process(trusting_sandbox, tmp_path):
    """A daemon that ignores every signal it can ends too."""
    alive = tmp_path / "alive"
    with trusting_sandbox.start() as student:
        student.run_cell(
            "import os, signal, time\nif not os.fork():\n    os.setsid()\n"
            "    signal.pthread_sigmask(0, range(1, 65))\n    if os.fork(): os._exit(0)\n"
            f"    while True: open({str(alive)!r}, 'a').write('x'); time.sleep(0.02)"
        )
        time.sleep(0.5)
    size = alive.stat().st_size
    time.sleep(0.3)
    assert alive.stat().st_size <= size + 1
