"""A submission cannot see, write or reach anything outside the sandbox."""

import ast
import os
import socket
import subprocess
import sys
import time
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

from autograder.sandbox.box import PYTHON, ROOT, SandboxError, bubblewrap_command, packages_to_hide
from autograder.sandbox.session import Sandbox

PROBE = """
import os
def outcome(action):
    try:
        return repr(action())
    except OSError as error:
        return type(error).__name__
"""


@pytest.fixture
def outcome(printed):
    """The value of an expression in the sandbox, or the name of the error that it raises."""
    printed(PROBE)
    return lambda expression: printed(f"print(outcome(lambda: {expression}), end='')")


def is_alive(marker: str) -> bool:
    """Whether a process of this machine has the marker in its command line or name."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                text = (process / "cmdline").read_bytes() + (process / "comm").read_bytes()
            except OSError:
                continue
            if marker.encode() in text:
                return True
    return False


def test_a_cell_reads_its_own_files(printed):
    assert printed("print(open('notes.txt').read())") == "mine\n"


@pytest.mark.parametrize(
    "folder",
    [
        str(Path.home()), "/home", "/var", "/etc/passwd", "/run", "/media", "/mnt",
        str(ROOT / "assignments"), str(ROOT / "autograder"), str(ROOT / "src"), str(ROOT / ".git"),
    ],
)  # fmt: skip
def test_folders_of_others_do_not_exist(outcome, folder):
    found = outcome(f"sorted(os.listdir({folder!r}))")
    if folder == str(Path.home()):  # Python itself may lie below it
        names = [Path(sys.base_prefix), Path(sys.prefix)]
        allowed = {
            path.relative_to(folder).parts[0] for path in names if path.is_relative_to(folder)
        }
        assert found in ("FileNotFoundError", repr(sorted(allowed)))
    else:
        assert found in ("FileNotFoundError", "PermissionError", "NotADirectoryError")


def test_only_the_files_of_the_fork_server_exist_of_this_package(printed):
    found = printed("!find /box -type f").split()
    for name in ("autograder.authoring.bank", "autograder.checks.exercises", "convnets.layers"):
        printed(f"try: import {name}\nexcept ImportError: pass\nelse: raise AssertionError")
    assert {Path(name).name for name in found} == {
        "answers.py", "limits.py", "namespaces.py", "protocol.py", "shell.py", "fork_server.py",
        "student.py",
    }  # fmt: skip


def test_installed_copies_of_our_packages_are_hidden(tmp_path, monkeypatch):
    (tmp_path / "autograder").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert tmp_path / "autograder" in packages_to_hide(["autograder"])


def test_a_hidden_folder_inside_pythons_folder_appears_empty():
    numpy = Path(__import__("numpy").__file__).parent
    line = bubblewrap_command([numpy], 9, [])
    at = line.index(str(numpy))
    assert line[at - 1] == "--tmpfs"
    assert line[at + 1 : at + 3] == ["--remount-ro", str(numpy)]


def test_other_folders_next_to_python_do_not_exist(outcome):
    found = outcome(f"os.listdir({sys.prefix!r})")
    assert "lib" in found
    assert set(ast.literal_eval(found)) <= {*PYTHON}
    assert outcome("os.listdir('/usr/src')") == "FileNotFoundError"


def test_of_a_course_around_python_only_python_exists():
    line = bubblewrap_command([Path(sys.prefix).parent], 9, [])
    assert str(Path(sys.prefix).parent) not in line[line.index("--ro-bind") :: 3]


def test_a_course_inside_a_system_folder_appears_empty(tmp_path, monkeypatch):
    course = tmp_path / "lib" / "course"
    course.mkdir(parents=True)
    (tmp_path / "lib64").symlink_to("lib")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    line = bubblewrap_command([course], 9, [])
    for folder in (course, tmp_path / "lib64" / "course"):
        assert line[line.index(str(folder)) - 1] == "--tmpfs"


def test_a_hidden_folder_that_is_pythons_own_is_refused():
    with pytest.raises(SandboxError, match=r"virtual environment outside of that folder"):
        bubblewrap_command([Path(sys.prefix) / "lib"], 9, [])


def test_our_installed_packages_are_hidden_under_every_path(outcome):
    for folder in ("lib", "lib64"):
        for name in ("convnets", "autograder"):
            path = f"{sys.prefix}/{folder}/python3.{sys.version_info[1]}/site-packages/{name}"
            assert outcome(f"os.listdir({path!r})") in ("FileNotFoundError", "[]")


def test_the_environment_of_the_grader_is_not_inherited(printed):
    names = printed("import os; print(*os.environ)").split()
    assert "PATH" in names
    assert set(names) & {"SSH_AUTH_SOCK", "PYTEST_CURRENT_TEST", "OLDPWD", "LOGNAME"} == set()


def test_other_processes_are_invisible(outcome):
    assert outcome("sorted(filter(str.isdigit, os.listdir('/proc')))") == "['1']"
    assert outcome("os.getppid()") == "0"
    assert outcome(f"os.kill({os.getpid()}, 9)") == "ProcessLookupError"
    assert outcome("os.kill(-1, 0)") in ("ProcessLookupError", "None")


def test_the_memory_of_the_fork_server_cannot_be_opened(outcome):
    assert outcome("open('/proc/2/mem', 'rb')") == "FileNotFoundError"


@pytest.mark.parametrize("target", ["0", "-1", "-os.getpgid(0)"])
def test_a_signal_to_a_process_group_stays_inside(student, sandbox, target):
    student.run_cell(f"import os; os.kill({target}, 15)")
    with sandbox.start() as other:
        assert other.run_cell("1").state == "ok"


@pytest.mark.parametrize(
    "path", ["/x", "/warm/x", "/dev/x", "/dev/pts/x", "/proc/x", "/usr/x", "/box/x", "/home/x",
             f"{sys.prefix}/x", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"],
)  # fmt: skip
def test_nothing_can_be_written_outside_the_scratch_folders(outcome, path):
    assert outcome(f"open({path!r}, 'w')") in (
        "OSError", "PermissionError", "FileNotFoundError", "IsADirectoryError",
    )  # fmt: skip
    assert not Path(path).is_file() or path.startswith("/proc")


def test_every_mount_but_the_scratch_folders_is_read_only_or_kernel_data(printed):
    table = [line.split() for line in printed("!cat /proc/mounts").splitlines()]
    last = {row[1]: row[3].split(",") for row in table}  # a later mount covers an earlier one
    writable = {path for path, options in last.items() if "ro" not in options}
    # /proc shows a process only its own data; devices are nodes, not folders.
    assert {path for path in writable if not path.startswith(("/dev/", "/proc"))} == {
        "/student", "/tmp",
    }  # fmt: skip
    assert {path for path in writable if path.startswith("/dev/")} <= {
        "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty",
        "/dev/shm",
    }  # fmt: skip


def test_scratch_folders_and_shared_memory_are_not_shared(sandbox):
    with sandbox.start() as one, sandbox.start() as other:
        one.run_cell("open('/tmp/note', 'w').write('x'); open('/dev/shm/note', 'w').write('x')")
        found = other.run_cell("import os; print(os.listdir('/tmp'), os.listdir('/dev/shm'))")
        assert "note" not in found.outputs[0]["text"]


def test_the_loopback_of_this_machine_and_of_other_submissions_cannot_be_reached(sandbox, outcome):
    with socket.create_server(("127.0.0.1", 0)) as server, sandbox.start() as other:
        port = server.getsockname()[1]
        other.run_cell("import socket; server = socket.create_server(('127.0.0.1', 4567))")
        for number in (port, 4567):
            tried = outcome(f"__import__('socket').create_connection(('127.0.0.1', {number}), 0.3)")
            assert tried in ("OSError", "ConnectionRefusedError")


@pytest.mark.parametrize("address", ["('1.1.1.1', 53)", "('example.org', 80)"])
def test_there_is_no_network(outcome, address):
    tried = outcome(f"__import__('socket').create_connection({address}, 0.3)")
    assert tried in ("OSError", "gaierror")


def test_abstract_sockets_of_others_cannot_be_reached(sandbox, outcome):
    with socket.socket(socket.AF_UNIX) as server, sandbox.start() as other:
        server.bind("\0convnets-outside")
        server.listen()
        other.run_cell(
            "import socket; s = socket.socket(1); s.bind('\\0convnets-other'); s.listen()"
        )
        for name in ("outside", "other"):
            action = f"__import__('socket').socket(1).connect('\\0convnets-{name}')"
            assert outcome(action) == "ConnectionRefusedError"


@pytest.mark.parametrize("family", [40, 38, 17])  # vsock, alg, packet
def test_sockets_that_a_network_namespace_does_not_confine_are_refused(outcome, family):
    assert outcome(f"__import__('socket').socket({family}, 2)") == "PermissionError"


def test_namespaces_mounts_and_keys_are_refused(printed):
    assert "-1 -1 -1 -1 -1 -1" in printed(
        "import ctypes, platform; c = ctypes.CDLL(None)\n"
        "keyctl = 250 if platform.machine() == 'x86_64' else 219\n"
        "print(c.unshare(0x10000000), c.unshare(0x20000), c.umount2(b'/tmp', 2),\n"
        "      c.mount(b'none', b'/tmp', b'tmpfs', 0, None), c.syscall(keyctl, 1, 0),\n"
        "      c.memfd_create(b'x', 0))"
    )


def test_there_are_no_capabilities(printed):
    status = printed("print(open('/proc/self/status').read())").splitlines()
    values = dict(line.split(":\t") for line in status if line.startswith(("Cap", "NoNewPrivs")))
    assert values.pop("NoNewPrivs") == "1"
    assert {int(value, 16) for value in values.values()} == {0}


def test_only_the_channel_is_inherited_as_a_descriptor(outcome):
    assert (
        outcome("[n for n in range(64) if os.path.exists(f'/proc/self/fd/{n}')]") == "[0, 1, 2, 3]"
    )


def test_daemons_of_a_submission_end_with_it(sandbox):
    marker = f"daemon{os.getpid()}"
    with sandbox.start() as student:
        result = student.run_cell(
            "import os, signal, time\n"
            "if not os.fork():\n"
            "    os.setsid()\n"
            "    for n in set(signal.Signals) - {9, 19}: signal.signal(n, signal.SIG_IGN)\n"
            "    if os.fork(): os._exit(0)\n"
            f"    open('/proc/self/comm', 'w').write('{marker}')\n"
            "    time.sleep(60)\n"
            "    os._exit(0)\n"
            "time.sleep(0.2)"
        )
        assert result.state == "ok"
        assert is_alive(marker)
    assert not is_alive(marker)


@pytest.mark.slow
def test_nothing_outlives_a_grader_that_is_killed(tmp_path, isolation):
    marker = f"orphan{os.getpid()}"
    script = tmp_path / "grader.py"
    script.write_text(
        "from autograder.sandbox.session import Sandbox\n"
        "sandbox = Sandbox(preload=())\n"
        "student = sandbox.start()\n"
        f"student.run_cell(\"open('/proc/self/comm', 'w').write('{marker}')\")\n"
        "print('ready', flush=True)\n"
        "student.run_cell('import time; time.sleep(60)')\n"
    )
    grader = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert grader.stdout.readline() == "ready\n"
    assert is_alive(marker)
    grader.kill()
    grader.wait()
    grader.stdout.close()
    deadline = time.monotonic() + 3
    while is_alive(marker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(marker)


@pytest.mark.slow
def test_a_sandbox_started_in_a_thread_outlives_the_thread(isolation):
    with ThreadPoolExecutor(1) as threads:
        sandbox = threads.submit(Sandbox, preload=()).result()
    with sandbox, sandbox.start() as student:
        assert student.run_cell("1").state == "ok"


@pytest.mark.sweep
def test_python_below_tmp_can_be_isolated(isolation):
    """Runs the quick tests of this file with a virtual environment in /tmp."""
    with TemporaryDirectory(dir="/tmp") as folder:
        environment = Path(folder, "work", ".venv")
        venv.create(environment, symlinks=True)
        [packages] = environment.glob("lib/python*/site-packages")
        ours = str(Path(torch.__file__).parents[1])
        (packages / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})")
        tests = subprocess.run(
            [environment / "bin/python", "-m", "pytest", "-m", "not slow", __file__],
            cwd=ROOT,
            env={**os.environ, "CI": "true"},  # so that no test is skipped
            capture_output=True,
            text=True,
        )
    assert tests.returncode == 0, tests.stdout
