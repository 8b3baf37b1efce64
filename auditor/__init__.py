"""Audit a pretrained model from a YAML spec: measurements, verdicts with intervals, and a report."""

from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0"


def run(spec: str | Path, **options: Any) -> Any:
    """Run the audit of a spec file and write its reports; gives the `Outcome` of auditor.audit.

    options: the fields of auditor.audit.Options. The stages are looked up by name: everything imports this module, so
    it can import none of them.
    """
    audit = import_module("auditor.audit")
    return audit.run(Path(spec), audit.Options(**options))


def record(model: Any, optimizer: Any, path: str | Path, **options: Any) -> Any:
    """Record a training run into a trace, in your own loop; gives the `Recorder` of auditor.recorder.record.

    options: every, dense, start, snapshots. Call `step(loss=..., metrics=...)` on it after each optimizer step and
    before the gradients are cleared. docs/recording.md shows it.
    """
    return import_module("auditor.recorder.record").record(model, optimizer, path, **options)
