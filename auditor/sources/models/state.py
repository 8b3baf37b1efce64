"""State dicts: what a weights file holds, described without torch and loaded from the bytes that were digested."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.errors import SourceError
from auditor.sources.digest import verify
from auditor.sources.models.header import Shape, read_header
from auditor.sources.models.pickled import is_pickled, load_pickled, read_pickled
from auditor.sources.paths import Where, dotted
from auditor.subject import FileRef, ModelRef, Trust

if TYPE_CHECKING:
    import torch

PREFIXES = ("module.", "model.", "_orig_mod.")


@dataclass(frozen=True)
class Stored:
    """The tensors of a weights file by name, its trust class, and the wrapper that was taken off their names."""

    tensors: dict[str, Shape]
    trust: Trust
    nest: str = ""

    @property
    def parameters(self) -> int:
        """Elements of its floating-point tensors, running statistics of normalization layers left out."""
        skipped = ("running_mean", "running_var")
        return sum(shape.count for name, shape in self.tensors.items() if shape.floating and not name.endswith(skipped))

    def remarks(self) -> tuple[str, ...]:
        """What a reader should know of how the names were read."""
        prefix = prefix_of(self.tensors)
        nest = (f"the state dict lay under the key {self.nest!r}",) if self.nest else ()
        return nest + ((f"the prefix {prefix!r} was taken off the names of the weights",) if prefix else ())


def describe_state(path: Path, where: Where) -> Stored:
    """What a .safetensors or .pt file holds, told apart by content. Raises SourceError or RefusedError."""
    with path.open("rb") as stream:
        start = stream.read(32)
    if is_pickled(start):
        nest, tensors = read_pickled(path, where)
        return Stored(tensors, "restricted", nest)
    if path.suffix != ".safetensors":
        raise SourceError(
            f"{dotted(where)}: {path.name} is neither safetensors nor a state dict of torch.save",
            hint="write one with safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')",
            where=where,
        )
    return Stored(read_header(path, where), "data")


def load_state(path: Path, ref: FileRef, where: Where) -> "dict[str, torch.Tensor]":
    """The state dict in the very bytes whose sha256 is `ref`'s; wrappers {state_dict: ...} are opened."""
    content = path.read_bytes()
    verify(ref, hashlib.sha256(content).hexdigest(), where)
    if not is_pickled(content[:32]):
        from safetensors.torch import load

        tensors: dict[str, torch.Tensor] = load(content)
        return tensors
    return load_pickled(content, where)


def prefix_of(names: Mapping[str, Any]) -> str:
    """The wrapper's prefix that all names share ("module.", "model.", "_orig_mod."), also several, or ""."""
    taken = ""
    while names:
        longer = [taken + prefix for prefix in PREFIXES if all(name.startswith(taken + prefix) for name in names)]
        if not longer:
            break
        taken = longer[0]
    return taken


def without_prefix(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The mapping with the prefix taken off each name."""
    return {name.removeprefix(prefix): value for name, value in state.items()}


def fill(module: "torch.nn.Module", state: "Mapping[str, torch.Tensor]", ref: ModelRef, where: Where) -> None:
    """Load a state dict; SourceError that lists both sides unless every name and shape fits."""
    own = module.state_dict()
    missing, extra = sorted(set(own) - set(state)), sorted(set(state) - set(own))
    shapes = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in sorted(set(own) & set(state))
        if own[name].shape != state[name].shape
    ]
    if missing or extra or shapes:
        parts = (("missing", missing), ("not of this architecture", extra), ("of another shape", shapes))
        listed = "; ".join(f"{what}: {', '.join(found[:4])} ({len(found)})" for what, found in parts if found)
        raise SourceError(
            f"{dotted(where)}: the state dict does not fit {ref.architecture}: {listed}",
            hint="name the architecture that the weights were saved from",
            where=where,
        )
    module.load_state_dict(dict(state), strict=True)
