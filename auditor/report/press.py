"""Press: the process that prints the PDF; started early, it is warm when there is something to print."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from auditor.errors import StoreError

SECONDS = 300.0
"""What the PDF of one run may take."""


class Press:
    """A process of its own for the PDF of one run, so that a page that never ends, ends.

    It loads what it needs as soon as it starts, and then waits for its one order. As a context it leaves no process.
    """

    def __init__(self) -> None:
        self._folder = Path()
        package = str(Path(__file__).resolve().parents[2])
        known = [package, *(part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "auditor.report.pdf"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(known))},
            start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> "Press":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def order(self, folder: Path, figures: Path | None) -> None:
        """Have report.pdf of a run folder printed. figures: a folder that keeps drawn figures."""
        self._folder = folder
        text = json.dumps({"folder": str(folder), "figures": str(figures or "")}).encode() + b"\n"
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already: wait() says why
            self._process.stdin.write(text)
            self._process.stdin.flush()

    def wait(self) -> None:
        """Until what was ordered is printed. Raises StoreError when it fails, or takes too long."""
        try:
            _, told = self._process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise StoreError(f"{self._folder}: printing took longer than {SECONDS:.0f} s and was ended") from None
        if self._process.returncode != 0:
            last = told.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
            raise StoreError(f"{self._folder}: printing failed: {last[0]}", "`auditor doctor` says what is missing")
