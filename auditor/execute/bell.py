"""The bell: Ctrl-C rings it, and the run heeds it between two steps, so that no worker is lost in the middle of one."""

import signal
import threading
from types import FrameType


class Bell:
    """While it hangs, SIGINT is noted instead of raised; `heed()` then raises KeyboardInterrupt.

    Only the main thread can hang it; in any other thread, or where SIGINT is ignored, nothing changes.
    """

    def __init__(self) -> None:
        self._has_rung = False
        self._before = signal.getsignal(signal.SIGINT)
        self._hangs = threading.current_thread() is threading.main_thread() and callable(self._before)

    def __enter__(self) -> "Bell":
        if self._hangs:
            signal.signal(signal.SIGINT, self._ring)
        return self

    def __exit__(self, *of_error: object) -> None:
        if self._hangs:
            signal.signal(signal.SIGINT, self._before)

    def heed(self) -> None:
        """Raise KeyboardInterrupt if it has rung."""
        if self._has_rung:
            raise KeyboardInterrupt

    def _ring(self, number: int, frame: FrameType | None) -> None:
        self._has_rung = True
