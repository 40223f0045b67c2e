"""Ctrl-C between two training steps, never within one."""

import signal
import threading
from types import FrameType
from typing import Any, Self


class DeferredInterrupt:
    """Inside its block, Ctrl-C (or a notebook's stop button) only sets `requested`.

    A second Ctrl-C raises KeyboardInterrupt at once. Outside the main thread, which alone receives
    signals, the block changes nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._request)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
