"""`auditor.record` for people's own training loops; it imports nothing of the product, and torch inside functions."""

from pathlib import Path
from typing import Any


def transformers_callback(path: str | Path, *, every: int = 10, dense: int = 10, snapshots: int = 0) -> Any:
    """A callback for transformers' Trainer that records its training into the trace `path`.

    Losses come from what the Trainer logs (with `logging_steps=1` of every step), metrics from its evaluations. The
    other options are those of `auditor.record`.
    """
    from auditor.recorder.with_transformers import callback

    return callback(path, every=every, dense=dense, snapshots=snapshots)


def lightning_callback(path: str | Path, *, every: int = 10, dense: int = 10, snapshots: int = 0) -> Any:
    """A callback for Lightning's Trainer that records its training into the trace `path`: modules with one optimizer.

    Losses come from training_step, metrics from what is logged until a validation ends. The other options are those of
    `auditor.record`.
    """
    from auditor.recorder.with_lightning import callback

    return callback(path, every=every, dense=dense, snapshots=snapshots)
