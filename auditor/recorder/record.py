"""`auditor.record`: a training loop tells the recorder of each step, and a trace file remembers."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from auditor.recorder.format import STEP, Begun, Header, Notes, pack_record
from auditor.recorder.journal import Journal, RecordingWarning, opened
from auditor.recorder.snapshots import Snapshots
from auditor.recorder.watch import Watch, unique_parameters

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
else:
    Floats = Any

NOTED = 128
"""Losses and metrics that wait for the next record, at most."""

WORDS = {"float32": "F32", "float64": "F64", "float16": "F16", "bfloat16": "BF16"}


def record(
    model: "torch.nn.Module",
    optimizer: "torch.optim.Optimizer | None",
    path: str | Path,
    *,
    every: int = 10,
    dense: int = 10,
    start: int | None = None,
    snapshots: int = 0,
) -> "Recorder":
    """Begin to record a training run into the trace `path`, or go on with the trace that is there.

    every: steps between records; dense: the first steps, recorded one each. start: the steps made before this call (by
    default 0, or the last of the trace that is there); a record behind `start` is void from then on.
    snapshots: bytes for weight snapshots in PATH.weights, 0 for none.
    ValueError: wrong use, a file that is no trace or one of other tensors. OSError: the file cannot be written. Once
    recording has begun, a disk that is full warns (RecordingWarning) and never ends the training.
    """
    _check_numbers(every=(every, 1), dense=(dense, 0), snapshots=(snapshots, 0), start=(start or 0, 0))
    tensors = _followed(model)
    names = {id(tensor): place for place, tensor in enumerate(tensors.values())}
    groups = Groups(optimizer, names)
    header = Header(
        every, dense, tuple(tensors), tuple(tensor.numel() for tensor in tensors.values()),
        tuple(tensor.dim() for tensor in tensors.values()), tuple(_word(tensor) for tensor in tensors.values()),
    )  # fmt: skip
    journal, before = opened(Path(path), header)
    try:
        begun = start if start is not None else (before.at if before else 0)
        series = Snapshots(Path(path), model, snapshots, every, begun) if snapshots else None
        return Recorder(tensors, groups, journal, every, dense, begun, series)
    except BaseException:
        journal.close()
        raise


@dataclass
class Recorder:
    """One recording in progress: `step()` after each optimizer step, before gradients are cleared; then `close()`.

    As a context manager it closes itself, whatever ended the block.
    """

    tensors: "dict[str, torch.nn.Parameter]"
    groups: "Groups"
    journal: Journal
    every: int
    dense: int
    start: int
    snapshots: Snapshots | None
    at: int = field(init=False)
    closed: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.at = self.marked = self.noted = self.start
        self.losses: dict[int, Any] = {}
        self.metrics: list[tuple[str, int, float]] = []
        self.watch = Watch(self.tensors, [tensor.requires_grad for tensor in self.tensors.values()])
        self._begin()
        self._snapshot()
        self.journal.sync()

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def step(self, loss: "torch.Tensor | float | None" = None, metrics: Mapping[str, Any] | None = None) -> None:
        """Tell of one optimizer step that was just made, while its gradients are still there.

        loss: of the step's batch, a number or a tensor of one (read at the next record, so that no step waits for it).
        metrics: numbers of your own by name. NaN and infinity are recorded as they are.
        """
        if self.closed:
            raise ValueError(f"step() after the recording into {self.journal.path} was closed; call it before close()")
        self.note(metrics or {}, step=self.at + 1)
        if loss is not None:
            self.losses[self.at + 1] = _scalar(loss)
        self.at += 1
        self.groups.see(self.at)
        if self.at % self.every == 0 or self.at - self.start <= self.dense:
            self._record()
        elif len(self.losses) + len(self.metrics) >= NOTED:
            self._write_notes()

    def see_rates(self) -> None:
        """Read the learning rates of the step about to be told, where a scheduler moves them before step()."""
        self.groups.see(self.at + 1)

    def note(self, metrics: Mapping[str, Any], step: int | None = None, loss: Any = None) -> None:
        """Numbers of the last step (or of `step`) that are known only after it, such as those of a validation."""
        at = self.at if step is None else step
        self.metrics += [(_name(name), at, _number(name, value)) for name, value in metrics.items()]
        if loss is not None and at > max(self.losses, default=self.noted):
            self.losses[at] = _scalar(loss)

    def close(self) -> None:
        """Record what came after the last record, and the last weights; a second call does nothing."""
        if self.closed:
            return
        self.closed = True
        try:
            if self.at > self.marked:
                self._record(last=True)
            elif self.losses or self.metrics:
                self._write_notes()
            if self.snapshots is not None:
                self._snapshot(last=True)
        finally:
            self.journal.close()

    def _begin(self) -> None:
        """A segment: the recording's first, or one for groups that hold other tensors now."""
        self.groups.assign()
        self.journal.add((b"S", Begun(self.at, self.groups.state(), self.groups.of).packed()))

    def _notes(self) -> list[tuple[bytes, bytes]]:
        if not self.losses and not self.metrics:
            return []
        notes = Notes(list(self.losses), [float(loss) for loss in self.losses.values()], self.metrics)
        self.noted = max(self.losses, default=self.noted)
        self.losses, self.metrics = {}, []
        return [(b"N", notes.packed())]

    def _write_notes(self) -> None:
        self.journal.add(*self._notes())

    def _record(self, last: bool = False) -> None:
        """Close an interval."""
        asked = [tensor.requires_grad for tensor in self.tensors.values()]
        self.watch.trained = [now or before for now, before in zip(asked, self.watch.trained, strict=True)]
        moved = self.watch.mark()
        lr, mean = self.groups.rates()
        body = pack_record(self.at, self.watch.trained, lr, mean, moved, gradient_norms(self.tensors))
        self.journal.add(*self._notes(), (b"R", body))
        self.marked = self.at
        if self.groups.changed() and not last:
            self._begin()
        self.groups.warn(self.journal.path)
        if self.snapshots is not None and self.snapshots.due(self.at) and not last:
            self._snapshot()

    def _snapshot(self, last: bool = False) -> None:
        if self.snapshots is not None and self.snapshots.keep(self.at, last):
            self.journal.add((b"W", STEP.pack(self.at)))


@dataclass
class Groups:
    """The optimizer's groups that hold tensors of the model, and their learning rates since the last record."""

    optimizer: "torch.optim.Optimizer | None"
    places: Mapping[int, int]

    def __post_init__(self) -> None:
        self.step, self.last = -1, list[float]()
        self.strange = self.strangers()
        self.assign()
        if self.optimizer is not None and max(self.of, default=-1) < 0:
            raise ValueError(
                "the optimizer holds none of the model's parameters; expected the optimizer that trains this model, "
                "or None to record without learning rates"
            )

    def assign(self) -> None:
        """Read which group holds which tensor."""
        self.of, self.held = self._read()
        self.sums, self.seen = [0.0] * len(self.held), 0

    def _read(self) -> tuple[tuple[int, ...], list[int]]:
        """The group of each tensor, and the numbers of the optimizer's groups that hold any."""
        found, held = [-1] * len(self.places), list[int]()
        for number, group in enumerate(self.optimizer.param_groups if self.optimizer is not None else []):
            places = [self.places[id(tensor)] for tensor in group["params"] if id(tensor) in self.places]
            for place in places:
                found[place] = len(held)
            held += [number] if places else []
        return tuple(found), held

    def changed(self) -> bool:
        """Whether a group was added, or holds other tensors now."""
        return self._read() != (self.of, self.held)

    def strangers(self) -> int:
        """How many tensors the optimizer holds that are not followed."""
        groups = self.optimizer.param_groups if self.optimizer is not None else []
        return sum(id(tensor) not in self.places for group in groups for tensor in group["params"])

    def warn(self, path: Path) -> None:
        """Say, once for each time, that tensors came to the optimizer after recording began: a new head, adapters."""
        now = self.strangers()
        if now > self.strange:
            warnings.warn(
                f"{path}: {now - self.strange} tensors came to the optimizer after record() and are not recorded; "
                "build the whole model before record(), or record the rest of the run into another trace",
                RecordingWarning,
                stacklevel=4,
            )
        self.strange = now

    def state(self) -> bool | None:
        """Whether the optimizer holds state of earlier steps; None without one."""
        return None if self.optimizer is None else bool(self.optimizer.state)

    def see(self, step: int) -> None:
        """Read the learning rates of a step; once, whoever asks first."""
        if self.step == step:
            return
        groups = self.optimizer.param_groups if self.optimizer is not None else []
        rates = [groups[number].get("lr", nan) if number < len(groups) else nan for number in self.held]
        self.last, self.step = [float(rate) for rate in rates], step
        self.sums = [total + rate for total, rate in zip(self.sums, self.last, strict=True)]
        self.seen += 1

    def rates(self) -> tuple[list[float], list[float]]:
        """The learning rates of the last step, and their means since the last call."""
        means = [total / max(1, self.seen) for total in self.sums]
        self.sums, self.seen = [0.0] * len(self.held), 0
        return self.last, means


def gradient_norms(tensors: "Mapping[str, torch.nn.Parameter]") -> Floats:
    """[T], NaN where there is no gradient; all NaN when all are zero, which is how cleared gradients look."""
    import numpy as np
    import torch

    norms = np.full(len(tensors), nan)
    found = [(place, tensor.grad) for place, tensor in enumerate(tensors.values()) if tensor.grad is not None]
    if not found:
        return norms
    dense = [grad.coalesce().values() if grad.is_sparse else grad for _, grad in found]
    wide = torch.float64 if any(grad.dtype == torch.float64 for grad in dense) else torch.float32
    with torch.no_grad():
        taken = torch.stack([norm.cpu().double() for norm in torch._foreach_norm(dense, 2, dtype=wide)]).numpy()
    norms[[place for place, _ in found]] = taken if np.any(taken != 0) else nan
    return norms


def _followed(model: "torch.nn.Module") -> "dict[str, torch.nn.Parameter]":
    """The parameters that can be followed: of floating-point numbers, and in memory."""
    import torch

    if not isinstance(model, torch.nn.Module):
        raise ValueError(f"record() follows a torch.nn.Module; found {type(model).__name__}")
    found = {
        name: tensor
        for name, tensor in unique_parameters(model).items()
        if tensor.is_floating_point() and tensor.numel() and not tensor.is_meta
    }
    if not found:
        raise ValueError(
            f"the model {type(model).__name__} has no parameters to record; expected floating-point parameters in "
            "memory: build the model, and move it to its device, before record()"
        )
    return found


def _word(tensor: "torch.Tensor") -> str:
    return WORDS.get(str(tensor.dtype).removeprefix("torch."), "other")


def _scalar(loss: Any) -> Any:
    """The loss as something to read later; a tensor is copied on its device, without waiting."""
    import torch

    if isinstance(loss, torch.Tensor):
        if loss.numel() != 1:
            raise ValueError(
                f"step(loss=...) takes one number; found a tensor of shape {tuple(loss.shape)}: take its mean"
            )
        return loss.detach().reshape(()).clone()
    return _number("loss", loss)


def _number(name: str, value: Any) -> float:
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"the metric {name!r} is no number: found {repr(value)[:80]}; give a float, or leave it out"
        ) from None


def _name(name: Any) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise ValueError(f"a metric's name is a text of 1 to 200 characters; found {repr(name)[:80]}")
    return name


def _check_numbers(**given: tuple[Any, int]) -> None:
    for name, (value, least) in given.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"record({name}=...) is a whole number of at least {least}; found {value!r}")
