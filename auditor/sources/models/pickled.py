"""A .pt file of torch.save: its tensors read by a pickle reader that can build nothing, before torch may load it."""

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.errors import RefusedError, SourceError
from auditor.sources.models.header import MAX_HEADER, MAX_TENSORS, Shape
from auditor.sources.paths import Where, dotted

if TYPE_CHECKING:
    import torch

NESTS = ("state_dict", "model_state_dict", "model", "net")
FORCE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
RATIO = 4
ZIP = b"PK\x03\x04"
LEGACY = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
SIZES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
}  # fmt: skip
RESAVE = (
    "in the environment that made it, save the weights alone:\n"
    "      from safetensors.torch import save_file\n"
    "      save_file(torch.load('{name}', weights_only=False).state_dict(), 'weights.safetensors')"
)


@dataclass(frozen=True)
class _Storage:
    kind: str
    key: str
    count: int

    @property
    def bytes(self) -> int:
        """The bytes of its elements."""
        return self.count * SIZES[self.kind]


@dataclass(frozen=True)
class _Global:
    """What a pickle names in the place of a class or function; calling it keeps the tensor's outline."""

    name: str

    def __call__(self, *args: Any) -> Any:
        if self.name == "OrderedDict":
            return OrderedDict(*args)
        if self.name == "_rebuild_parameter":
            return args[0]
        return _outline(args[0], args[2])


def _outline(storage: Any, size: Any) -> Shape:
    shape = tuple(int(side) for side in size)
    if not isinstance(storage, _Storage) or min(shape, default=0) < 0:
        raise pickle.UnpicklingError("a tensor without a storage")
    if prod(shape) > storage.count:
        raise pickle.UnpicklingError(
            f"a tensor claims {prod(shape)} elements of a storage of {storage.count} (a repeated view)"
        )
    return Shape(storage.kind.removesuffix("Storage"), shape)


KNOWN = {
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    *(("torch", kind) for kind in SIZES),
}


class _Foreign(Exception):
    """The pickle names something that is no part of a state dict."""


class _Reader(pickle._Unpickler):  # written in Python: its memo is a dictionary, not an array of a size the file names
    """Builds outlines of tensors, and refuses every other global; `storages` is what the tensors lie in, by key."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in KNOWN:
            raise _Foreign(f"{module}.{name}")
        return _Global(name)

    def persistent_load(self, pid: Any) -> _Storage:
        kind, global_, key, _, count, *view = pid
        if kind != "storage" or not isinstance(global_, _Global) or global_.name not in SIZES or any(view):
            raise pickle.UnpicklingError(f"an unknown storage {pid!r}")
        storage = _Storage(global_.name, str(key), int(count))
        if self.storages.setdefault(storage.key, storage) != storage:
            raise pickle.UnpicklingError(f"two storages {key}")
        return storage


def is_pickled(start: bytes) -> bool:
    """Whether a file that begins so was written by torch.save: a zip archive, or the format before torch 1.6."""
    return start.startswith((ZIP, LEGACY))


def read_pickled(path: Path, where: Where) -> tuple[str, dict[str, Shape]]:
    """The tensors of a state dict saved by torch.save, and the key of the wrapper that held them ("" for none).

    Nothing in the file can run: only tensors, storages and dictionaries are understood. Raises RefusedError for a
    compression bomb and for tensors larger than their storage, SourceError for a pickled module (with the lines that
    save it anew), TorchScript, an exported program, and anything unsound.
    """
    try:
        with path.open("rb") as stream:
            legacy = stream.read(len(LEGACY)) == LEGACY
        found = _legacy(path) if legacy else _archived(path, where)
    except _Foreign as error:
        raise SourceError(
            f"{dotted(where)}: expected a state dict, found a pickle that needs {error}: {path.name}",
            hint=RESAVE.format(name=path.name),
            where=where,
        ) from error
    except (zipfile.BadZipFile, pickle.UnpicklingError, KeyError, EOFError, struct.error) as error:
        raise RefusedError(f"{dotted(where)}: {path.name} is not a sound state dict: {error}", where=where) from error
    except (ValueError, TypeError, IndexError, AttributeError, RecursionError, MemoryError) as error:
        raise RefusedError(f"{dotted(where)}: {path.name} holds a malformed pickle: {error}", where=where) from error
    return _tensors(found, path, where)


def load_pickled(content: bytes, where: Where) -> "dict[str, torch.Tensor]":
    """The state dict of bytes that `read_pickled` has accepted, through torch.load(weights_only=True) on the CPU."""
    import torch

    require_unforced(where)
    _, state = unnested(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
    return {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}


def require_unforced(where: Where) -> None:
    """Raise RefusedError where the environment would make torch.load run what a file says."""
    if os.environ.get(FORCE):
        raise RefusedError(
            f"{FORCE} is set: it would let a .pt file run code",
            hint=f"unset {FORCE}, or save the weights as safetensors",
            where=where,
        )


def unnested(found: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The state dict inside {state_dict: ...} and the like, and the key that held it."""
    for key in NESTS:
        if isinstance(found.get(key), Mapping):
            return key, found[key]
    return "", found


def _archived(path: Path, where: Where) -> Any:
    """The object of a zip archive, whose storages are its entries data/KEY."""
    with zipfile.ZipFile(path) as archive:
        prefix = _sniffed(archive, path, where)
        _sized(archive, path, where)
        reader = _Reader(io.BytesIO(archive.read(f"{prefix}data.pkl")))
        found = reader.load()
        held = {entry.filename: entry.file_size for entry in archive.infolist()}
    for key, storage in reader.storages.items():
        if storage.bytes > held.get(f"{prefix}data/{key}", 0):
            raise pickle.UnpicklingError(f"storage {key} claims {storage.count} elements, more than the file holds")
    return found


def _legacy(path: Path) -> Any:
    """The object of a file from before torch 1.6: magic number, version, system, object, storage keys, then for each
    key its count (8 bytes) and its elements, up to the end of the file."""
    with path.open("rb") as stream:
        for _ in range(3):
            _Reader(stream).load()
        reader = _Reader(stream)
        found = reader.load()
        keys = [str(key) for key in _Reader(stream).load()]
        if sorted(keys) != sorted(reader.storages):
            raise pickle.UnpicklingError("its storages are not those that it lists")
        for key in keys:
            (count,) = struct.unpack("<q", stream.read(8))
            if count != reader.storages[key].count:
                raise pickle.UnpicklingError(f"storage {key} holds {count} elements, not {reader.storages[key].count}")
            stream.seek(reader.storages[key].bytes, io.SEEK_CUR)
        if stream.tell() != path.stat().st_size:
            raise pickle.UnpicklingError(f"its storages end at byte {stream.tell()} of {path.stat().st_size}")
    return found


def _sniffed(archive: zipfile.ZipFile, path: Path, where: Where) -> str:
    """The folder of data.pkl; TorchScript and exported programs are told by what they hold, not by their names."""
    names = archive.namelist()
    other = next((what for mark, what in _KINDS.items() if any(mark in f"/{name}" for name in names)), "")
    if other:
        raise SourceError(
            f"{dotted(where)}: {path.name} is {other}, which runs code when it is loaded: not in this version",
            hint="save the weights alone: save_file(model.state_dict(), 'weights.safetensors')",
            where=where,
        )
    pickles = [name for name in names if name.endswith("data.pkl")]
    if len(pickles) != 1 or len(names) > MAX_TENSORS or len(set(names)) != len(names):
        raise zipfile.BadZipFile(f"{len(pickles)} pickles and {len(names)} entries")
    return pickles[0].removesuffix("data.pkl")


_KINDS = {
    "/constants.pkl": "a TorchScript program",
    "/code/": "a TorchScript program",
    "/models/": "an exported program",
}


def _sized(archive: zipfile.ZipFile, path: Path, where: Where) -> None:
    """torch.save does not compress: a file that inflates, or a pickle of more than 25 MB, is no state dict."""
    whole = sum(entry.file_size for entry in archive.infolist())
    largest = max((entry.file_size for entry in archive.infolist() if entry.filename.endswith(".pkl")), default=0)
    if whole > RATIO * path.stat().st_size or largest > MAX_HEADER:
        raise RefusedError(
            f"{dotted(where)}: {path.name} ({path.stat().st_size} bytes) would inflate to {whole} bytes",
            hint="a state dict of torch.save is not compressed; save it anew as safetensors",
            where=where,
        )


def _tensors(found: Any, path: Path, where: Where) -> tuple[str, dict[str, Shape]]:
    if not isinstance(found, Mapping):
        raise SourceError(
            f"{dotted(where)}: expected a state dict, found a {type(found).__name__} in {path.name}",
            hint=RESAVE.format(name=path.name),
            where=where,
        )
    nest, state = unnested(found)
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Shape)}
    if not tensors:
        raise SourceError(f"{dotted(where)}: {path.name} holds no tensors", where=where)
    return nest, tensors
