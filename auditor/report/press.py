"""Press: the process that makes HTML and PDF; started early, it is warm when there is something to print."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from auditor.errors import StoreError

SECONDS = 300.0
"""What the pages of one run may take."""


class Press:
    """A process of its own for the pages of one run, so that a page that never ends, ends.

    It loads what it needs as soon as it starts, and then waits for its one order. As a context it leaves no process.
    """

    def __init__(self) -> None:
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

    def make(self, folder: Path, pages: Sequence[str], figures: Path | None) -> None:
        """Make the pages "html" and "pdf" of a run folder, those asked for. Raises StoreError when that fails.

        figures: a folder that keeps drawn figures, so that none is drawn twice.
        """
        order = {"folder": str(folder), "figures": str(figures or ""), "pages": list(pages)}
        try:
            _, told = self._process.communicate(json.dumps(order).encode() + b"\n", timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise StoreError(f"{folder}: printing took longer than {SECONDS:.0f} s and was ended") from None
        if self._process.returncode != 0:
            last = told.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
            raise StoreError(f"{folder}: printing failed: {last[0]}", "`auditor doctor` says what is missing")
