"""Runtime: all of this machine that can change a number, decided by fixed rules and without importing torch."""

import os
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from auditor.spec.model import RunSettings
from auditor.subject import Modality, Runtime

PACKAGES = (
    "auditor",
    "torch",
    "torchvision",
    "transformers",
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
        device=_device() if settings.device == "auto" else settings.device,
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


def _device() -> str:
    has_driver = Path("/dev/nvidiactl").exists()
    return "cuda" if has_driver and _has_cuda_build() else "cpu"


def _has_cuda_build() -> bool:
    """Whether the installed torch was built for CUDA: its version.py says so, or its version's local part."""

    found = find_spec("torch")
    if found is None or found.origin is None:
        return False
    text = (Path(found.origin).parent / "version.py").read_text(encoding="utf-8")
    line = next((each for each in text.splitlines() if each.startswith("cuda")), "cuda = None")
    return not line.rstrip().endswith("None")
