"""The tensors of one checkpoint (a file, or the shards of a folder), each read when it is asked for."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.errors import SourceError
from auditor.sources.digest import file_sha256, verify
from auditor.sources.models.header import Shape, offsets
from auditor.sources.models.state import describe_state, prefix_of, without_prefix
from auditor.sources.paths import Where
from auditor.spec.references import expand
from auditor.subject import FileRef, ModelRef

if TYPE_CHECKING:
    import torch

INNER = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""What torch's wrappers put into the names of the modules that they wrap, anywhere in a name."""

OUTER = ("module.", "base_model.model.", "model.")
"""What wrappers of a whole model put before every name; a model may have a part of such a name itself."""

WORDS = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}  # fmt: skip
"""The floating-point types of safetensors by torch's names."""


@dataclass(frozen=True)
class Place:
    """Where a tensor lies: its file, its name there, and in a safetensors file the byte where it begins."""

    path: Path
    name: str
    begin: int = -1


@dataclass(frozen=True)
class Tensors:
    """Named tensors on disk, of which only what is asked for is in memory.

    shapes: type and shape of each by its name in the model, what wrappers put into names taken off.
    """

    shapes: Mapping[str, Shape]
    places: Mapping[str, Place]

    def get(self, name: str) -> "torch.Tensor":
        """The tensor as it is stored, in memory of its own; KeyError for a name that is not there."""
        return self.all((name,))[name]

    def all(self, names: Iterable[str] | None = None) -> "dict[str, torch.Tensor]":
        """Tensors as they are stored, by name; all of them unless some are named."""
        from safetensors import safe_open

        found = {}
        for path, listed in self._by_file(self.shapes if names is None else names).items():
            if self.places[listed[0]].begin < 0:
                state = _pickled(path)
                found.update({name: state[self.places[name].name].clone() for name in listed})
            else:
                with safe_open(str(path), framework="pt") as file:
                    found.update({name: file.get_tensor(self.places[name].name).clone() for name in listed})
        return found

    def read(self, spans: "Sequence[tuple[str, int, int]]") -> "list[torch.Tensor]":
        """Flat stretches of floating-point tensors (name, first element, end) as they are stored, in own memory."""
        found: dict[tuple[str, int, int], torch.Tensor] = {}
        ends = {name: (start, end) for name, start, end in spans}
        for path, listed in self._by_file(ends).items():
            if self.places[listed[0]].begin < 0:
                state = _pickled(path)
                for name in listed:
                    start, end = ends[name]
                    found[name, start, end] = state[self.places[name].name].flatten()[start:end].clone()
            else:
                found.update(self._raw(path, {name: ends[name] for name in listed}))
        return [found[span] for span in spans]

    def _raw(
        self, path: Path, ends: Mapping[str, tuple[int, int]]
    ) -> "Iterable[tuple[tuple[str, int, int], torch.Tensor]]":
        """Read, not mapped: pages of a mapped file count as memory of the process."""
        import torch

        with path.open("rb") as file:
            for name, (start, end) in ends.items():
                kind: torch.dtype = getattr(torch, WORDS[self.shapes[name].dtype])
                file.seek(self.places[name].begin + start * kind.itemsize)
                content = bytearray(file.read((end - start) * kind.itemsize))
                yield (name, start, end), torch.frombuffer(content, dtype=kind)

    def _by_file(self, names: Iterable[str]) -> dict[Path, list[str]]:
        grouped: dict[Path, list[str]] = {}
        for name in names:
            grouped.setdefault(self.places[name].path, []).append(name)
        return grouped


def open_tensors(root: Path, files: Sequence[FileRef], where: Where, own: Collection[str] = ()) -> Tensors:
    """The tensors of these files, once each has the bytes that were described. SourceError if two hold one name.

    own: the names of the model, to which those in the files are brought.
    """
    shapes: dict[str, Shape] = {}
    places: dict[str, Place] = {}
    for file in files:
        path = root / expand(file.path)
        if not path.is_file():
            raise SourceError(f"{file.path}: not found below the audit's root", hint="restore it", where=where)
        verify(file, file_sha256(path), where)
        stored = describe_state(path, where)
        begins = offsets(path) if stored.trust == "data" else {}
        for name, shape in stored.tensors.items():
            if name in places:
                raise SourceError(f"{places[name].path.name} and {path.name} both hold the tensor {name}", where=where)
            shapes[name], places[name] = shape, Place(path, name, begins.get(name, -1))
    names = names_in(shapes, own)
    return Tensors(
        {names[name]: shape for name, shape in shapes.items()}, {names[name]: place for name, place in places.items()}
    )


def names_in(stored: Iterable[str], own: Collection[str]) -> dict[str, str]:
    """The model's name of each stored tensor.

    Of the ways to take wrappers' words off the front, and to put one of the model's own parts before it, the one that
    gives most names that the model has, and of those the one that changes least. Without names of the model all
    wrappers' words go.

    >>> names_in(["module._orig_mod.fc.weight"], ["fc.weight"])
    {'module._orig_mod.fc.weight': 'fc.weight'}
    >>> names_in(["model.fc.weight", "model.fc.bias"], ["model.fc.weight", "model.fc.bias", "head.weight"])
    {'model.fc.weight': 'model.fc.weight', 'model.fc.bias': 'model.fc.bias'}
    """
    plain = {name: _unwrapped(name) for name in stored}
    shortened = [""]
    while longer := [word for word in OUTER if all(name.startswith(shortened[-1] + word) for name in plain.values())]:
        if not plain:
            break
        shortened.append(shortened[-1] + longer[0])
    if not own:
        return {name: short.removeprefix(shortened[-1]) for name, short in plain.items()}
    known = {*own, *(name.rpartition(".")[0] for name in own)}
    parts = ["", *sorted({name.partition(".")[0] + "." for name in own if "." in name})]
    ways = [(taken, put) for put in parts for taken in shortened]
    fits = {way: sum(_fits(way[1] + name.removeprefix(way[0]), known) for name in plain.values()) for way in ways}
    taken, put = max(ways, key=lambda way: fits[way]) if any(fits.values()) else (shortened[-1], "")
    return {name: put + short.removeprefix(taken) for name, short in plain.items()}


def _fits(name: str, known: Collection[str]) -> bool:
    """Whether a tensor, or the module that an adapter's tensor stands beside, is the model's."""
    return name in known or name.partition(".lora_")[0] in known


def _unwrapped(name: str) -> str:
    for word in INNER:
        name = name.replace(word, "")
    return name


def own_shapes(ref: ModelRef, root: Path) -> dict[str, Shape]:
    """The tensors that the model's own weights files hold, by the names of its module; empty where it has none."""
    found: dict[str, Shape] = {}
    for file in ref.files:
        path = root / expand(file.path)
        if Path(file.path).suffix in WEIGHTS and path.is_file():
            found.update(describe_state(path, ("models", ref.name)).tensors)
    return found if ref.source == "transformers" else without_prefix(found, prefix_of(found))


WEIGHTS = (".safetensors", ".pt", ".pth", ".bin")


def _pickled(path: Path) -> "Mapping[str, torch.Tensor]":
    """A state dict of torch.save that describe_state() has accepted, mapped from the file where its format allows."""
    from zipfile import is_zipfile

    import torch

    from auditor.sources.models.pickled import require_unforced, unnested

    require_unforced(())
    _, state = unnested(torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path)))
    return state
