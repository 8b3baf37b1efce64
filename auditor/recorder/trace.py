"""What a trace holds, as the reader gives it: the facts of a recorded training run."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]
else:
    Floats = Ints = Bools = Any


@dataclass(frozen=True)
class Segment:
    """One recording into the trace: the first, or one that resumed it.

    start: the step after which it began. first: place of its first interval among the R of the trace. groups: [T], the
    optimizer's parameter group of each tensor when it began, -1 for none. optimizer_state: whether the optimizer held
    state of earlier steps when it began (None without an optimizer): a resumed segment without it shows as a spike of
    the change rates that says nothing of the run. abandoned: how many records of earlier segments it made void,
    because it began before them; they, and the losses and metrics of those steps, are left out of the trace.
    """

    start: int
    first: int
    groups: Ints
    optimizer_state: bool | None
    abandoned: int


@dataclass(frozen=True)
class Curve:
    """One number by step: steps [S] rising, values [S], which may be NaN or infinite: that is what was recorded."""

    steps: Ints
    values: Floats


@dataclass(frozen=True)
class Snapshot:
    """The model's full state dict in float32 after `step` steps, a safetensors file."""

    step: int
    path: Path


@dataclass(frozen=True)
class Trace:
    """R intervals between records, of T tensors and G parameter groups. An interval never spans a resume.

    tensors: names, tied weights once under the first; sizes, dims: [T], elements and dimensions; dtypes: as in
    safetensors' words ("F32", "BF16"). trained: [T], whether it asked for gradients at any time.
    every, dense: a record every `every` steps, the first `dense` steps one each.
    begins, steps: [R], the steps at the start and at the end of each interval; within a segment one begins where the
    one before ended.
    norm ... projection: as in watch.Moved: [R, T]; quantiles: [R, T, 5]; projection: [R, 256].
    resolution: [R, T], the norm that rounding to the tensor's dtype alone may give a change: 0 for float32.
    gradient: [R, T], the gradient norm at the step that ends the interval, NaN where there was none to be seen.
    lr: [R, G], at that step, and lr_mean: [R, G], over the interval; NaN where unknown. tensor_lr: [R, T], lr_mean of
    the tensor's group, NaN for tensors in none.
    loss: of the steps for which one was given. metrics: the user's own numbers by name.
    torn: the file ended amid a record, which is cut: the run was killed while it wrote.
    """

    version: int
    path: Path
    tensors: tuple[str, ...]
    sizes: Ints
    dims: Ints
    dtypes: tuple[str, ...]
    trained: Bools
    every: int
    dense: int
    segments: tuple[Segment, ...]
    begins: Ints
    steps: Ints
    norm: Floats
    change: Floats
    l1_norm: Floats
    l1_change: Floats
    elementwise: Floats
    quantiles: Floats
    projection: Floats
    resolution: Floats
    gradient: Floats
    lr: Floats
    lr_mean: Floats
    tensor_lr: Floats
    loss: Curve
    metrics: dict[str, Curve]
    snapshots: tuple[Snapshot, ...]
    torn: bool
