"""Provenance: what must be equal for the numbers to repeat, and what it ran on."""

import platform
import subprocess
from pathlib import Path

from auditor.results import Provenance
from auditor.subject import Runtime

DETERMINISM = (
    "Deterministic algorithms; every draw is seeded from the run seed by name. Same machine, threads, batch size and"
    " versions: the same numbers, bit for bit."
)


def provenance(runtime: Runtime, seeds: dict[str, int], root: Path) -> Provenance:
    """The part of the results that says how to repeat them; equal for equal runs on one machine."""
    return Provenance(
        environment={"python": platform.python_version(), "system": platform.system(), **runtime.packages},
        git=_git(root),
        seeds={"run": runtime.seed, **seeds},
        threads=runtime.threads,
        device=runtime.device,
        precision=runtime.precision,
        batch_size=runtime.batch_size,
        determinism=DETERMINISM,
    )


def hardware() -> dict[str, str]:
    """What the run ran on; volatile, so not part of the finding digest."""
    return {"machine": platform.machine(), "processor": _processor(), "system": platform.platform()}


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _git(root: Path) -> dict[str, str]:
    """Commit of the spec's repository and whether its tree was changed; empty outside a repository."""
    commit = _ask(root, "rev-parse", "HEAD")
    if not commit:
        return {}
    changed = _ask(root, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "tree": "changed" if changed else "clean"}


def _ask(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):  # no git on this machine: the report then names no commit
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
