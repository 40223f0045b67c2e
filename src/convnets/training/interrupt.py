"""Ctrl-C between two steps, never within one."""

import signal
import threading
from types import FrameType
from typing import Any


class StopAsked:
    """Inside its block, Ctrl-C (or a notebook's stop button) sets `asked` and breaks nothing.

    A second Ctrl-C stops at once. In a thread other than the main one it changes nothing.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> "StopAsked":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
