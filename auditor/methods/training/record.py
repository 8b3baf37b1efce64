"""The fixed record of a training run: what is written down of every run, whatever question is asked later.

Light on purpose: plans name these classes without importing numpy or torch.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]
    Weights = NDArray[Any]
else:
    Floats = Ints = Bools = Weights = Any

VERSION = 3
Side = Literal["train", "validation"]


@dataclass(frozen=True)
class Changes:
    """How each tensor changed between consecutive records: R intervals x T tensors, T counting tied weights once.

    steps: [R + 1], the optimizer steps of the records, the first being the start.
    norm, l1_norm: [R, T], of the tensor at the interval's start; change, l1_change: of its change over the interval.
    elementwise: [R, T], mean of abs(change) / max(abs(value), FLOOR x rms); quantiles: [R, T, 5], of the same ratio
    at GRID; both over at most 2,048 fixed elements a tensor (recorder/watch.py).
    lr: [R], mean learning rate of the interval, NaN if unknown.
    trained: False for tensors that the recipe leaves alone (and for none read off checkpoints).
    projection: [R, 256], of the change of all trained tensors as one vector, or [R, 0] (recorder/projection.py).
    turn: [R, T], the inner product of a tensor's change with its change over the interval before; NaN in the first
    interval and where it is not known exactly. resolution: [R, T], the norm that the rounding of the stored numbers
    alone may give a change (0 for float32): a change that is not well above it is not decidable.
    """

    tensors: tuple[str, ...]
    sizes: Ints
    dims: Ints
    trained: Bools
    steps: Ints
    norm: Floats
    change: Floats
    l1_norm: Floats
    l1_change: Floats
    elementwise: Floats
    quantiles: Floats
    lr: Floats
    projection: Floats
    turn: Floats
    resolution: Floats

    def finite(self) -> bool:
        """Whether all tensors stayed finite."""
        import numpy as np

        return bool(np.isfinite(self.change).all() and np.isfinite(self.norm).all())


@dataclass(frozen=True)
class Series:
    """One number watched along a history: its value after each of some steps, float64 [S]."""

    steps: Ints
    values: Floats


@dataclass(frozen=True)
class Curves:
    """What is known of one history beside how its tensors changed; what is not known is left out.

    series: by name: "loss" (of each step's batch), "lr", "gradient_norm" (before clipping), "train_loss" and
    "validation_loss" (in eval mode), and the user's own metrics under "metric/NAME".
    gradient: [G, T], the gradient norm of each tensor (in the order of Changes.tensors) after `gradient_steps`, NaN
    where there was none; [0, T] if unknown.
    """

    series: dict[str, Series]
    gradient_steps: Ints
    gradient: Floats


@dataclass(frozen=True)
class TaskCurve:
    """One of several tasks that were trained at once: the loss of each step's batch [S], and what was seen at the run's
    records [V], as in Run. weight: its factor in the sum of the losses."""

    name: str
    weight: float
    loss: Floats
    validation_loss: Floats
    validation_correct: Ints
    validation_rows: int

    def accuracy(self) -> Floats | None:
        """[V] the share of right answers on the validation data; None where there are no classes."""
        return self.validation_correct / self.validation_rows if len(self.validation_correct) else None


@dataclass(frozen=True)
class Joint:
    """Several tasks on one trunk. tasks: all of them, the model's own first.

    shared: how many numbers the tasks share and train. steps: [C], of the records that follow the start. cosine:
    [C, P], between the gradients of two tasks' batches on what they share, by pairs of tasks in the order of
    itertools.combinations; NaN where one is zero. norm: [C, K], of each task's gradient there.
    """

    tasks: tuple[TaskCurve, ...]
    shared: int
    steps: Ints
    cosine: Floats
    norm: Floats


@dataclass(frozen=True)
class Run:
    """One recorded run of S steps, fewer when it diverged: then the arrays end at `diverged_at`, that step included.

    loss, lr, gradient_norm: [S], of each step's batch in train mode, the norm before clipping.
    gradient: [R, T], gradient norm of each tensor at the records that follow the start (of the step just made).
    Losses are in nats, those of a regression mean squared errors, those of a language model means over tokens.
    record_steps: [V], 0 first; train_loss, train_correct: [V], eval-mode loss and right answers on the first
    `train_rows` training rows; validation_loss, validation_correct: [V], on the first `validation_rows` validation
    rows. The right answers are [0] where there are no classes.
    agreement, disagreement: [V], g1 . g2 and |g1 - g2|^2 of the eval-mode mean gradients of two disjoint halves of
    `noise_rows` training rows each, drawn afresh at each record (NaN where there were not enough rows).
    checkpoints: float32 tensors (buffers included) by "step:name"; the last step's are always among them.
    remarks: what the data say of themselves (rows that could not be read, texts that were cut), and what a reader must
    know of how it was computed. stopped_at: the step at which the validation loss had stopped the run, None if it did
    not. frozen: the tensors of `changes` that the recipe leaves alone on purpose. joint: what several tasks on one
    trunk did; all else is then of the first task and its model, but `gradient_norm` is of all that is trained.
    """

    version: int
    seed: int
    planned_steps: int
    batch_size: int
    diverged_at: int | None
    loss: Floats
    lr: Floats
    gradient_norm: Floats
    gradient: Floats
    changes: Changes
    record_steps: Ints
    train_loss: Floats
    train_correct: Ints
    train_rows: int
    validation_loss: Floats
    validation_correct: Ints
    validation_rows: int
    noise_rows: int
    agreement: Floats
    disagreement: Floats
    checkpoint_steps: tuple[int, ...]
    checkpoints: dict[str, Weights]
    remarks: tuple[str, ...] = ()
    stopped_at: int | None = None
    frozen: tuple[str, ...] = ()
    joint: Joint | None = None

    @property
    def followed(self) -> int:
        """The steps for which more is known than that it had not happened yet: all, unless it was stopped early."""
        return self.planned_steps if self.stopped_at is None else self.stopped_at

    def accuracy(self, side: Side = "validation") -> Floats | None:
        """[V] the share of right answers on one side; None where there are no classes."""
        correct, rows = getattr(self, f"{side}_correct"), getattr(self, f"{side}_rows")
        found: Floats | None = correct / rows if len(correct) else None
        return found

    @property
    def diverged(self) -> bool:
        """Whether the run ended at a loss or gradient that is not finite."""
        return self.diverged_at is not None

    def steps(self) -> Ints:
        """[S] the steps made: 1, 2, ..."""
        import numpy as np

        return np.arange(1, len(self.loss) + 1)

    def weights(self, step: int | None = None) -> dict[str, Weights]:
        """The tensors by name after `step` steps (None: the last); KeyError if that checkpoint was not kept."""
        wanted = self.checkpoint_steps[-1] if step is None else step
        if wanted not in self.checkpoint_steps:
            raise KeyError(f"no checkpoint of step {wanted}; kept: {', '.join(map(str, self.checkpoint_steps))}")
        head = f"{wanted}:"
        return {key.removeprefix(head): value for key, value in self.checkpoints.items() if key.startswith(head)}

    def light(self) -> "Run":
        """The same run without its checkpoints."""
        return replace(self, checkpoints={}, checkpoint_steps=())
