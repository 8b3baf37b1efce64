"""Weight snapshots beside a trace: evenly spaced, thinned to half whenever their budget is full."""

import contextlib
import json
import os
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.recorder.journal import RecordingWarning
from auditor.recorder.reading import steps_kept, weights_folder

if TYPE_CHECKING:
    import torch

SAFE_NAMES = {
    "float32": "F32",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}


@dataclass
class Snapshots:
    """The series of one trace: the first state, every `spacing` steps, and the last; all files within `budget` bytes.

    When the next one would not fit beside the last, every second one goes and the spacing doubles.
    """

    path: Path
    model: "torch.nn.Module"
    budget: int
    spacing: int
    first: int
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = len(_header(self._state())) + sum(_bytes(value) for value in self._state().values())
        if self.budget < 2 * self.size:
            raise ValueError(
                f"snapshots={self.budget:,} bytes hold no series: one snapshot takes {self.size:,}, expected room for "
                f"the first and the last, {2 * self.size:,}; give more, or 0 for none"
            )
        folder = weights_folder(self.path)
        folder.mkdir(parents=True, exist_ok=True)
        for step, file in steps_kept(self.path).items():
            if step > self.first:  # of a run that was abandoned
                file.unlink()

    def due(self, step: int) -> bool:
        """Whether the state after `step` belongs to the series."""
        return step % self.spacing == 0 or step == self.first

    def keep(self, step: int, last: bool = False) -> bool:
        """Write the state after `step`; False, with a warning, if it cannot be written."""
        kept = steps_kept(self.path)
        if step in kept and step == self.first:
            return True
        while not last and (len(kept) + 2) * self.size > self.budget and len(kept) > 1:
            kept = self._thinned(kept)
        if not last and (not self.due(step) or (len(kept) + 2) * self.size > self.budget) and kept:
            return False
        try:
            write(weights_folder(self.path) / f"step-{step:08d}.safetensors", self._state())
        except OSError as error:
            warnings.warn(
                f"the snapshot of step {step:,} beside {self.path} could not be written ({error.strerror or error}); "
                "the training goes on without it",
                RecordingWarning,
                stacklevel=2,
            )
            return False
        return True

    def _thinned(self, kept: dict[int, Path]) -> dict[int, Path]:
        """Every second one gone; the first stays."""
        self.spacing *= 2
        stay = {step: file for step, file in kept.items() if step % self.spacing == 0 or step == min(kept)}
        for step in kept.keys() - stay.keys():
            kept[step].unlink(missing_ok=True)
        return stay

    def _state(self) -> "dict[str, torch.Tensor]":
        import torch

        return {name: value for name, value in self.model.state_dict().items() if isinstance(value, torch.Tensor)}


def write(path: Path, tensors: "Mapping[str, torch.Tensor]") -> None:
    """A safetensors file, floating-point numbers as float32, written tensor by tensor: no copy of all of them.

    It appears under its name when it is whole and on the disk.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(_header(tensors))
            for value in tensors.values():
                file.write(_plain(value).numpy().tobytes())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _header(tensors: "Mapping[str, torch.Tensor]") -> bytes:
    at, told = 0, {}
    for name, value in tensors.items():
        size = _bytes(value)
        told[name] = {"dtype": _dtype(value), "shape": list(value.shape), "data_offsets": [at, at + size]}
        at += size
    raw = json.dumps(told).encode()
    raw += b" " * (-len(raw) % 8)
    return struct.pack("<Q", len(raw)) + raw


def _dtype(value: "torch.Tensor") -> str:
    return "F32" if value.is_floating_point() else SAFE_NAMES[str(value.dtype).removeprefix("torch.")]


def _bytes(value: "torch.Tensor") -> int:
    return value.numel() * (4 if value.is_floating_point() else value.element_size())


def _plain(value: "torch.Tensor") -> Any:
    detached = value.detach().cpu()
    return detached.float() if value.is_floating_point() else detached
