"""Runs a notebook's cells in one process, as a kernel would, and records their outputs."""

import base64
import io
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

Output: TypeAlias = dict[str, Any]


class Recorder:
    """Records the outputs of the running cell in nbformat's form, up to a limit in bytes."""

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, limit: int) -> None:
        self.outputs: list[Output] = []
        self.left = limit
        self.cut = False

    def write(self, name: str, text: str) -> None:
        text = self._fitting(text)
        last = self.outputs[-1] if self.outputs else {}
        if last.get("name") == name:
            last["text"].append(text)
        elif text:
            self.left -= 100
            self.outputs.append({"output_type": "stream", "name": name, "text": [text]})

    def show(self, kind: str, data: dict[str, Any], metadata: dict[str, Any], **more: Any) -> None:
        plain = {
            mime: base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
            for mime, value in data.items()
        }
        if sum(map(len, plain.values())) > self.left:
            self.cut = True
            return
        self.left -= sum(map(len, plain.values())) + 100
        self.outputs.append({"output_type": kind, "data": plain, "metadata": {}, **more})

    def fail(self, name: str, value: str, traceback: list[str]) -> None:
        # The last error is kept even if the output has reached its limit.
        self.outputs = [output for output in self.outputs if output["output_type"] != "error"]
        value, text = value[:1000], "\n".join(traceback)[-20_000:]
        self.outputs.append(
            {"output_type": "error", "ename": name, "evalue": value, "traceback": [text]}
        )

    def finish(self) -> list[Output]:
        for output in self.outputs:
            if output["output_type"] == "stream":
                output["text"] = "".join(output["text"])
        return self.outputs

    def _fitting(self, text: str) -> str:
        if len(text) > self.left:
            self.cut = True
            text = text[: max(0, self.left)]
        # Each write costs one byte more, so that a million empty writes reach the limit too.
        self.left -= len(text) + 1
        return text


RECORDER = Recorder()


class _Stream(io.TextIOBase):
    def __init__(self, name: str) -> None:
        self.name = name

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        RECORDER.write(self.name, text)
        return len(text)


class _Hook(DisplayHook):
    """Records the value of a cell's last expression."""

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        RECORDER.show("execute_result", format_dict, md_dict, execution_count=self.prompt_count)


class _Publisher(DisplayPublisher):
    """Records what `display` shows."""

    def publish(self, data: Any, metadata: Any = None, *_: Any, **options: Any) -> None:
        RECORDER.show("display_data", data, metadata or {})

    def clear_output(self, wait: bool = False) -> None:
        RECORDER.outputs.clear()


class Shell(InteractiveShell):
    """IPython without terminal, history, threads and sockets, so that it is safe to fork."""

    def _showtraceback(self, etype: Any, evalue: Any, stb: list[str]) -> None:
        RECORDER.fail(getattr(etype, "__name__", "Exception"), _text(evalue), stb)

    def _format_exception_for_storage(self, *_: Any, **__: Any) -> dict[str, Any]:
        """Skip the second traceback of an error, which is for a history that is not kept."""
        return {}

    def system(self, cmd: str) -> None:
        """Run a shell command ("!pip list") and show its output; the cell goes on if it fails."""
        done = subprocess.run(
            self.var_expand(cmd, depth=1), shell=True, stdin=subprocess.DEVNULL,  # type: ignore[no-untyped-call]
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        RECORDER.write("stdout", done.stdout.decode(errors="replace"))
        self.user_ns["_exit_code"] = done.returncode

    def enable_gui(self, gui: str | None = None) -> None:
        pass


def _text(error: object) -> str:
    try:
        return str(error)
    except Exception:
        return "an error that cannot be shown"


def make_shell(folder: Path) -> Shell:
    """Make the shell in which a student process runs its cells.

    Args:
        folder: the folder for IPython's profile.
    """
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "NoColor"
    config.InteractiveShell.display_page = True
    os.environ["IPYTHONDIR"] = str(folder / "ipython")
    shell = Shell.instance(config=config, displayhook_class=_Hook, display_pub_class=_Publisher)
    shell.set_custom_exc((RecursionError,), _short_traceback)  # type: ignore[no-untyped-call]
    return shell


def _short_traceback(
    shell: Shell, kind: type, error: BaseException, at: TracebackType, tb_offset: int | None = None
) -> None:
    """Show the last frames of a deep recursion; a thousand would take IPython seconds."""
    shell._showtraceback(kind, error, traceback.format_exception(kind, error, at, limit=-5))


def record_streams() -> None:
    """Record what the process prints, in place of the terminal."""
    sys.stdout, sys.stderr = _Stream("stdout"), _Stream("stderr")


def run_cell(shell: Shell, source: str, output_bytes: int) -> dict[str, Any]:
    """Run a cell. SIGINT interrupts the cell, like a notebook's stop button, and not the process.

    Returns:
        "outputs" in nbformat's form, the kind of "failure" ("", "error" or "memory"), and whether
        output was "cut" off.
    """
    RECORDER.begin(output_bytes)
    failure: object = None
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        result = shell.run_cell(source, store_history=True)  # type: ignore[no-untyped-call]
        failure = result.error_before_exec or result.error_in_exec
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt as error:
        failure = error
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return {
        "outputs": RECORDER.finish(),
        "failure": _kind(failure),
        "cut": RECORDER.cut,
    }


def _kind(failure: object) -> str:
    if failure is None:
        return ""
    # PyTorch's allocator raises a RuntimeError.
    short = isinstance(failure, MemoryError) or "can't allocate memory" in _text(failure)
    return "memory" if short else "error"
