"""The command line: parse, call, print."""

import gc
import os
import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `auditor ARGUMENTS` (default: those of the process) and leave with its exit code.

    0 pass, 1 fail, 2 usage or spec error, 3 inconclusive, 4 refused, 5 verification failed, 130 interrupted.

    Settings of the process come first, before anything is imported. Imports make hardly any garbage: looking for it
    along the way and once more at the end took a seventh of the start.
    """
    gc.set_threshold(200_000)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # nothing installed beside may change what is valid
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stopped job ends like one interrupted by hand
    try:
        from auditor.cli.entry import code

        status = code(arguments)
    except KeyboardInterrupt:  # before the command began, or a second time at its end
        status = 130
    gc.freeze()  # the process ends here: its memory goes back whole
    sys.exit(status)


__all__ = ["main"]
