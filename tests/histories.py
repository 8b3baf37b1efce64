"""Made-up histories whose numbers are known: what checks of training records are tested on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from auditor.methods.training.record import VERSION, Changes, Run


def changes(
    change: Sequence[Sequence[float]],
    norm: Sequence[Sequence[float]],
    dims: Sequence[int] | None = None,
    steps: Sequence[int] | None = None,
    lr: float = 1e-3,
) -> Changes:
    """Changes with the given norms; the l1 and elementwise fields follow the l2 ones."""
    moved, held = np.array(change, dtype=float), np.array(norm, dtype=float)
    intervals, tensors = moved.shape
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.nan_to_num(moved / held)
    return Changes(
        tensors=tuple(f"t{place}" for place in range(tensors)),
        sizes=np.full(tensors, 100),
        dims=np.array(dims or [2] * tensors),
        trained=np.ones(tensors, dtype=bool),
        steps=np.array(steps if steps is not None else range(0, 10 * intervals + 1, 10)),
        norm=held,
        change=moved,
        l1_norm=held,
        l1_change=moved,
        elementwise=ratio,
        quantiles=np.repeat(ratio[:, :, None], 5, axis=2),
        lr=np.full(intervals, lr),
        projection=np.zeros((intervals, 256)),
        turn=np.full(moved.shape, np.nan),
        resolution=np.zeros(moved.shape),
    )


def run(**given: Any) -> Run:
    """A healthy run of 20 steps with records every 10; `validation` and `train` are its eval-mode losses."""
    validation = np.array(given.pop("validation", [2.0, 1.0, 0.5]), dtype=float)
    train = np.array(given.pop("train", validation * 0.9), dtype=float)
    records = len(validation)
    steps = 10 * (records - 1)
    found: dict[str, Any] = {
        "version": VERSION,
        "seed": 1,
        "planned_steps": steps,
        "batch_size": 32,
        "diverged_at": None,
        "loss": np.linspace(2.0, 0.5, steps),
        "lr": np.full(steps, 1e-3),
        "gradient_norm": np.linspace(2.0, 1.0, steps),
        "gradient": np.full((records - 1, 3), 1.0),
        "changes": changes([[1.0, 1.2, 0.8]] * (records - 1), [[50.0] * 3] * (records - 1)),
        "record_steps": np.arange(0, steps + 1, 10),
        "train_loss": train,
        "train_rows": 100,
        "validation_loss": validation,
        "validation_correct": np.linspace(50, 90, records).astype(int),
        "validation_rows": 100,
        "noise_rows": 16,
        "agreement": np.linspace(1.0, 1.1, records),
        "disagreement": np.full(records, 0.5),
        "checkpoint_steps": (),
        "checkpoints": {},
    }
    found.update(given)
    made = len(found["gradient_norm"])
    return Run(**{**found, "loss": np.resize(found["loss"], made), "lr": np.resize(found["lr"], made)})
