"""Lineage: the stored tensors of a model beside those of the models that it is said to come from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.buffers import Buffers, BuffersOf, named_in
from auditor.artifacts.roots import FIRST_SEED, Model
from auditor.methods.lineage.record import Descent
from auditor.needs import Derived, Live, Need
from auditor.subject import FileRef, ModelRef, Runtime, Subject

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Weights:
    """The named tensors of a model; `get` reads one. files: the sha256 of each weights file by its name.
    buffers: the names that are no parameters.
    """

    shapes: Mapping[str, tuple[int, ...]]
    get: "Callable[[str], torch.Tensor]"
    files: tuple[tuple[str, str], ...] = ()
    buffers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class WeightsOf(Live[Weights]):
    """A model's tensors: of a fine-tune the last of its first seed, else those of its files, read one at a time.

    A factory without a weights file is asked for its module.
    """

    version: ClassVar[int] = 2
    artifact: ClassVar[type] = Weights
    ref: ModelRef
    runtime: Runtime

    @property
    def title(self) -> str:
        """Whose tensors."""
        return f"tensors of {self.ref.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The run of the first seed or nothing, and the names of buffers; or the module, where no file lies on disk."""
        if self.ref.source == "finetune":
            from auditor.artifacts.finetune import FineTune

            return {"tuned": FineTune(self.ref, FIRST_SEED, self.runtime), "buffers": BuffersOf(self.ref)}
        return {"buffers": BuffersOf(self.ref)} if weight_files(self.ref) else {"model": Model(self.ref, self.runtime)}

    def load(self, root: Path, **upstream: Any) -> Weights:
        """Open them; nothing is read yet of what lies on disk."""
        import torch

        if "tuned" in upstream:
            state = {name: torch.as_tensor(array) for name, array in upstream["tuned"].weights().items()}
            return _held(state, upstream["buffers"])
        if "model" in upstream:
            module = upstream["model"].module
            return _held(module.state_dict(), named_in(module))
        from auditor.sources.models.tensors import open_tensors

        files = weight_files(self.ref)
        found = open_tensors(root, files, ("models", self.ref.name, "weights"))
        named = tuple((Path(file.path).name, file.sha256) for file in files)
        shapes, buffers = {name: shape.shape for name, shape in found.shapes.items()}, upstream["buffers"]
        return Weights(shapes, found.get, named, buffers.among(shapes))


def weight_files(ref: ModelRef) -> tuple[FileRef, ...]:
    """Those of a described model's files that hold its tensors."""
    if ref.source == "transformers":
        return tuple(file for file in ref.files if file.path.endswith(".safetensors"))
    return ref.files[:1] if ref.entry.get("options", {}).get("weights") else ()


def _held(state: "Mapping[str, torch.Tensor]", buffers: Buffers) -> Weights:
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    return Weights(shapes, lambda name: state[name], buffers=buffers.among(shapes))


@dataclass(frozen=True)
class Kin:
    """A model beside one that it is said to come from. files, parent_files: name and sha256 of their weights files."""

    other: str
    descent: Descent
    files: tuple[tuple[str, str], ...]
    parent_files: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class KinOf(Derived[Kin]):
    """One model beside another; a head that the recipe or the descriptions declare to be new is explained."""

    version: ClassVar[int] = 3
    artifact: ClassVar[type] = Kin
    child: WeightsOf
    parent: WeightsOf
    other: str

    @property
    def title(self) -> str:
        """The two."""
        return f"lineage of {self.child.ref.name} from {self.other}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The tensors of both."""
        return {"own": self.child, "theirs": self.parent}

    def build(self, *args: Any, **upstream: Any) -> Kin:
        """Compare them pair by pair."""
        from auditor.methods.lineage.descent import descent
        from auditor.methods.lineage.heads import declared_head
        from auditor.methods.lineage.names import counterparts

        own, theirs = upstream["own"], upstream["theirs"]
        mine, other = self.child.ref, self.parent.ref
        head = declared_head(
            own.shapes, theirs.shapes, mine.outputs, other.outputs,
            renewed=mine.recipe is not None and mine.recipe.head is not None, new_task=mine.task != other.task,
        )  # fmt: skip
        shared = counterparts(list(own.shapes), list(theirs.shapes), theirs.buffers)
        found = descent(own, theirs, head, own.buffers | theirs.buffers | shared)
        return Kin(self.other, found, own.files, theirs.files)


@dataclass(frozen=True)
class Family:
    """A model beside each of the models that a check names."""

    kin: tuple[Kin, ...]


@dataclass(frozen=True)
class FamilyOf(Derived[Family]):
    """All of them, however many there are."""

    artifact: ClassVar[type] = Family
    tensors: ClassVar[bool] = False
    kin: tuple[KinOf, ...]

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return "lineage against " + ", ".join(need.other for need in self.kin)

    def needs(self) -> Mapping[str, Need[Any]]:
        """One for each."""
        return {f"kin_{at}": need for at, need in enumerate(self.kin)}

    def build(self, *args: Any, **upstream: Any) -> Family:
        """All in one."""
        return Family(tuple(upstream[name] for name in self.needs()))


def family_of(subject: Subject) -> FamilyOf:
    """The subject's model beside each of `against`."""
    child = WeightsOf(subject.model, subject.runtime)
    return FamilyOf(tuple(KinOf(child, WeightsOf(other, subject.runtime), other.name) for other in subject.against))
