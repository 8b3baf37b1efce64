"""Buffers: which stored tensors of a model are no parameters, as its module says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.needs import Live
from auditor.subject import ModelRef

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Buffers:
    """name of each tensor of a module -> whether it is a buffer."""

    named: Mapping[str, bool]

    def among(self, stored: Iterable[str]) -> frozenset[str]:
        """Those of the stored names that are buffers, whatever wrappers the names bear."""
        from auditor.methods.lineage.names import counterparts

        return counterparts(list(stored), list(self.named), {name for name, buffer in self.named.items() if buffer})


def named_in(module: "torch.nn.Module") -> Buffers:
    """Of a built module; a buffer that is not saved with it counts too, as older files may hold it."""
    buffers = dict.fromkeys((name for name, _ in module.named_buffers(remove_duplicate=False)), True)
    return Buffers(
        buffers | dict.fromkeys((name for name, _ in module.named_parameters(remove_duplicate=False)), False)
    )


@dataclass(frozen=True)
class BuffersOf(Live[Buffers]):
    """The names of a model's buffers. A model that cannot be built has no answer, and what asks for it fails: taken for
    parameters, the buffers of two unrelated networks may be equal and pass one for the other's child."""

    artifact: ClassVar[type] = Buffers
    ref: ModelRef

    @property
    def title(self) -> str:
        """Whose buffers."""
        return f"buffers of {self.ref.name}"

    def load(self, root: Path, **upstream: Any) -> Buffers:
        """Build the module, on the CPU, for its names alone; a fine-tune's is its parent's."""
        from auditor.artifacts.roots import build_parent
        from auditor.sources.models import load

        tuned = self.ref.source == "finetune"
        return named_in(build_parent(self.ref, root) if tuned else load(self.ref, root).module)
