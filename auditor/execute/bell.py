"""The bell: Ctrl-C rings it, and the run heeds it between two steps, so that no worker is lost in the middle of one."""

import signal
import threading
from types import FrameType


class Bell:
    """While it hangs, SIGINT and SIGTERM are noted instead of raised; `heed()` then raises KeyboardInterrupt.

    Only the main thread can hang it; in any other thread, or where a signal has no handler of Python's, nothing
    changes: the command line gives SIGTERM one.
    """

    def __init__(self) -> None:
        self._has_rung = False
        found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        is_main = threading.current_thread() is threading.main_thread()
        self._before = {number: before for number, before in found.items() if is_main and callable(before)}

    def __enter__(self) -> "Bell":
        for number in self._before:
            signal.signal(number, self._ring)
        return self

    def __exit__(self, *of_error: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def heed(self) -> None:
        """Raise KeyboardInterrupt if it has rung."""
        if self._has_rung:
            raise KeyboardInterrupt

    def _ring(self, number: int, frame: FrameType | None) -> None:
        self._has_rung = True
