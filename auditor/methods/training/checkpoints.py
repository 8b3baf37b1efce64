"""Changes between checkpoints on disk, read one tensor at a time."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from auditor.errors import SourceError
from auditor.methods.training.gathered import Gathered
from auditor.methods.training.record import Changes
from auditor.recorder.watch import Watch

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Names of the buffers of normalization layers, which are no parameters."""


@dataclass(frozen=True)
class Read:
    """The changes, and the tensors that cannot be followed: appeared after the first, vanished, or of another shape."""

    changes: Changes
    appeared: tuple[str, ...]
    vanished: tuple[str, ...]


def changes_of(paths: Sequence[Path], steps: Sequence[int]) -> Read:
    """The changes between consecutive safetensors files, `steps` being the steps of the files.

    Floating-point tensors that all files hold in one shape; buffers of normalization layers are left out by name.
    Tensors are read one at a time, in float32, so memory holds three copies of the largest tensor.
    A tensor that changes its shape counts as vanished and appeared.
    Raises SourceError for fewer than two files or steps that do not rise.
    """
    from safetensors import safe_open

    if len(paths) != len(steps) or len(paths) < 2 or any(a >= b for a, b in pairwise(steps)):
        raise SourceError(
            f"a history needs two checkpoints or more whose names hold rising step numbers; found steps {list(steps)}",
            hint="name them like step-0100.safetensors",
        )
    with ExitStack() as stack:
        files = [stack.enter_context(safe_open(str(path), framework="pt")) for path in paths]
        # A safetensors handle is no mapping: it can only be asked for its keys.
        shapes = [{name: shape for name in file.keys() if (shape := _followed(file, name))} for file in files]  # noqa: SIM118
        common = [name for name, shape in shapes[0].items() if all(other.get(name) == shape for other in shapes)]
        if not common:
            raise SourceError("the checkpoints have no parameter in common", hint="do they belong to one model?")
        watches = [_watched(name, files, steps) for name in sorted(common)]
    lost = sorted(set(shapes[0]) - set(common))
    gained = sorted({name for later in shapes[1:] for name in later} - set(common))
    return Read(_joined(watches), tuple(gained), tuple(lost))


def _followed(file: Any, name: str) -> tuple[int, ...] | None:
    """The shape of a floating-point tensor that is no normalization statistic, else None."""
    piece = file.get_slice(name)
    floating = str(piece.get_dtype()).startswith(("F", "BF"))
    if not floating or name.rsplit(".", 1)[-1] in STATISTICS:
        return None
    return tuple(piece.get_shape()) or (1,)


def _watched(name: str, files: Sequence[Any], steps: Sequence[int]) -> Changes:
    tensor = files[0].get_tensor(name).float().clone()
    watch = Watch({name: tensor})
    gathered = Gathered((name,), (tensor.numel(),), (tensor.dim(),), (True,), start=steps[0])
    for file, step in zip(files[1:], steps[1:], strict=True):
        tensor.copy_(file.get_tensor(name).float())
        gathered.add(step, nan, watch.mark())
    return gathered.changes()


def _joined(parts: Sequence[Changes]) -> Changes:
    """The changes of single tensors side by side."""
    first = parts[0]
    one = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("sizes", "dims", "trained")}
    many = ("norm", "change", "l1_norm", "l1_change", "elementwise", "quantiles", "turn", "resolution")
    beside = {name: np.concatenate([getattr(part, name) for part in parts], axis=1) for name in many}
    projection = np.sum([part.projection for part in parts], axis=0)
    names = tuple(part.tensors[0] for part in parts)
    return Changes(tensors=names, steps=first.steps, lr=first.lr, projection=projection, **one, **beside)
