"""Runtime: all of this machine that can change a number, decided by fixed rules and without importing torch."""

import os
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from auditor.errors import SourceError
from auditor.spec.model import RunSettings
from auditor.subject import Modality, Runtime

PACKAGES = (
    "auditor",
    "torch",
    "torchvision",
    "transformers",
    "tokenizers",
    "sentencepiece",
    "safetensors",
    "numpy",
    "scipy",
    "scikit-learn",
    "pillow",
)
BATCH_SIZES: dict[Modality, int] = {"image": 32, "text": 16, "tabular": 256}
MOST_THREADS = 8


def runtime_of(settings: RunSettings, modality: Modality) -> Runtime:
    """The Runtime of a subject.

    device auto: cuda where a driver and a CUDA build of torch are found, else cpu. threads auto: the processors that
    this process may use, at most 8. batch_size auto: 32 pictures, 16 texts or 256 rows, whatever memory is free.
    """
    return Runtime(
        device=_device(settings.device),
        precision=settings.precision,
        threads=_threads() if settings.threads == "auto" else settings.threads,
        batch_size=BATCH_SIZES[modality] if settings.batch_size == "auto" else settings.batch_size,
        seed=settings.seed,
        packages=packages(),
    )


def packages() -> dict[str, str]:
    """The versions of the installed packages that compute, read from their metadata."""
    found = {"python": ".".join(str(part) for part in sys.version_info[:3])}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _threads() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST_THREADS)


def _device(wanted: str) -> str:
    """The device of `wanted`. SourceError where the installed torch can never reach it."""
    if wanted == "auto":
        return "cuda" if Path("/dev/nvidiactl").exists() and _is_built_for("cuda") else "cpu"
    if wanted == "cuda" and not (_is_built_for("cuda") or _is_built_for("hip")):  # hip: AMD's, called cuda by torch
        raise SourceError(
            "run.device: expected a torch that was built for cuda, found one for the processor alone",
            hint="write device: auto or device: cpu, or install torch for this accelerator",
            where=("run", "device"),
        )
    return wanted


def _is_built_for(toolkit: str) -> bool:
    """Whether the installed torch was built for it, as its version.py says."""
    found = find_spec("torch")
    if found is None or found.origin is None:
        return False
    text = (Path(found.origin).parent / "version.py").read_text(encoding="utf-8")
    line = next((each for each in text.splitlines() if each.startswith(toolkit)), "None")
    return not line.rstrip().endswith("None")
