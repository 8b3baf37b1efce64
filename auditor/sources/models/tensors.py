"""The tensors of one checkpoint (a file, or the shards of a folder), each read when it is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.errors import SourceError
from auditor.sources.digest import file_sha256, verify
from auditor.sources.models.header import Shape
from auditor.sources.models.state import describe_state, prefix_of
from auditor.sources.paths import Where
from auditor.spec.references import expand
from auditor.subject import FileRef

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Tensors:
    """Named tensors on disk, of which one at a time is in memory.

    shapes: type and shape of each by its name in the model, wrappers' prefixes taken off. places: its file, and its
    name there.
    """

    shapes: Mapping[str, Shape]
    places: Mapping[str, tuple[Path, str]]

    def get(self, name: str) -> "torch.Tensor":
        """The tensor as it is stored, in memory of its own; KeyError for a name that is not there."""
        path, stored = self.places[name]
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(str(path), framework="pt") as file:
                found: torch.Tensor = file.get_tensor(stored)
                return found.clone()
        return _pickled(path)[stored].clone()


def open_tensors(root: Path, files: Sequence[FileRef], where: Where) -> Tensors:
    """The tensors of these files, once each has the bytes that were described. SourceError if two hold one name."""
    shapes: dict[str, Shape] = {}
    places: dict[str, tuple[Path, str]] = {}
    for file in files:
        path = root / expand(file.path)
        if not path.is_file():
            raise SourceError(f"{file.path}: not found below the audit's root", hint="restore it", where=where)
        verify(file, file_sha256(path), where)
        for name, shape in describe_state(path, where).tensors.items():
            if name in places:
                raise SourceError(f"{places[name][0].name} and {path.name} both hold the tensor {name}", where=where)
            shapes[name], places[name] = shape, (path, name)
    prefix = prefix_of(shapes)
    return Tensors(
        {name.removeprefix(prefix): shape for name, shape in shapes.items()},
        {name.removeprefix(prefix): place for name, place in places.items()},
    )


def _pickled(path: Path) -> "Mapping[str, torch.Tensor]":
    """A state dict of torch.save that describe_state() has accepted, mapped from the file."""
    import torch

    from auditor.sources.models.pickled import unnested

    _, state = unnested(torch.load(path, map_location="cpu", weights_only=True, mmap=True))
    return state
