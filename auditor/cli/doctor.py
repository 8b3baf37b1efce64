"""Doctor: what is missing on this machine, and the command that mends it. Imports nothing heavy itself."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from auditor.report import pango

OLDEST_PYTHON = (3, 11)
FREE_GIGABYTES = 2.0
UNSAFE_LOADING = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


@dataclass(frozen=True)
class Finding:
    """One thing looked at: whether it works, what was found, and the command that mends it."""

    name: str
    works: bool
    found: str
    mend: str = ""

    def __str__(self) -> str:
        head = f"{'ok     ' if self.works else 'MISSING'}  {self.name}: {self.found}"
        return head if self.works or not self.mend else f"{head}\n         {self.mend}"


def findings(cache: Path | None = None) -> tuple[Finding, ...]:
    """Everything a run needs, in the order in which one would mend it. cache: the folder of stored results."""
    return (
        _python(),
        *_packages(),
        _imports("torch", "import torch; print(torch.__version__, 'GPU' if torch.cuda.is_available() else 'CPU only')"),
        _imports("Pango (for the PDF)", "import weasyprint; print('weasyprint', weasyprint.__version__)", pango.mend()),
        _disk(cache or Path("~/.cache/auditor").expanduser()),
        _loading(),
    )


def _python() -> Finding:
    found = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("Python", sys.version_info >= OLDEST_PYTHON, found, "install Python 3.11 or newer")


def _packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    for text in _requirements():
        requirement = Requirement(text)
        if requirement.marker is not None:
            continue
        found = _installed(requirement.name)
        if found is None or found not in requirement.specifier:
            yield Finding(str(requirement), False, found or "not installed", f"pip install -U '{requirement}'")


def _requirements() -> list[str]:
    try:
        return metadata.requires("auditor") or []
    except metadata.PackageNotFoundError:  # run from a source tree on the path: what it needs is then not recorded
        return []


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _imports(name: str, program: str, mend: str = "") -> Finding:
    """Runs a line in a process of its own: what crashes on import must not take the doctor with it."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode == 0:
        return Finding(name, True, done.stdout.strip())
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return Finding(name, False, last, mend or f"pip install --force-reinstall {name.split()[0]}")


def _disk(cache: Path) -> Finding:
    folder = next(parent for parent in (cache, *cache.parents) if parent.is_dir())
    if not os.access(folder, os.W_OK):
        return Finding("disk", False, f"{folder} cannot be written", "use --cache DIR with a folder that you can write")
    free = shutil.disk_usage(folder).free / 1e9
    mend = f"free {FREE_GIGABYTES:.0f} GB, or use --cache DIR on another disk"
    return Finding("disk", free >= FREE_GIGABYTES, f"{free:.1f} GB free at {folder}", mend)


def _loading() -> Finding:
    name = "safe loading of weights"
    if os.environ.get(UNSAFE_LOADING):
        return Finding(
            name, False, f"{UNSAFE_LOADING} is set, which runs code in weight files", f"unset {UNSAFE_LOADING}"
        )
    return Finding(name, True, "weights are read as data only")
