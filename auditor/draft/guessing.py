"""Guessing: what a file or folder is, as the spec entry that would read it."""

from collections.abc import Callable
from pathlib import Path

from auditor.draft.architectures import guess
from auditor.draft.columns import Columns, look
from auditor.errors import SourceError
from auditor.sources.models.state import describe_state, prefix_of, without_prefix
from auditor.spec.model import DataEntry, ModelEntry
from auditor.subject import ModelRef

WEIGHTS = {".safetensors", ".pt", ".pth", ".bin"}
TABLES = {".csv", ".jsonl", ".parquet"}
TENSORS = {".npz", ".safetensors"}
PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
Relative = Callable[[Path], str]


def model_entry(path: Path, relative: Relative) -> ModelEntry:
    """The entry of a transformers folder or a torchvision state dict. Raises SourceError for anything else."""
    if (path / "config.json").is_file():
        return ModelEntry(name="model", source="transformers", options={"path": relative(path)})
    if path.is_file() and path.suffix in WEIGHTS:
        options = {"arch": _architecture(path), "weights": relative(path)}
        return ModelEntry(name="model", source="torchvision", options=options)
    _missing(path)
    raise SourceError(
        f"{path}: expected a transformers folder (with config.json) or a state dict (.safetensors, .pt),"
        f" found {_what(path)}",
        hint="for a model of your own code, write a `factory` entry by hand: see docs/spec.md",
    )


def data_entry(path: Path, model: ModelRef | None, relative: Relative) -> tuple[DataEntry, Columns | None]:
    """The entry of a folder of pictures, a table or a file of tensors, and the guessed columns of a table."""
    options: dict[str, object] = {"path": relative(path)}
    if _is_image_folder(path):
        return DataEntry(name="data", source="image_folder", options=options), None
    if path.suffix in TABLES and path.is_file():
        columns = look(path, model.classes if model else ())
        reads = {"text": columns.text} if columns.text else {"features": list(columns.features)}
        options = {**options, **reads, "label": columns.label}
        return DataEntry.model_validate({"name": "data", "source": path.suffix[1:], "options": options}), columns
    if path.suffix in TENSORS and path.is_file():
        return DataEntry(
            name="data", source="tensors", options={**options, "modality": model.modality if model else "image"}
        ), None
    _missing(path)
    raise SourceError(
        f"{path}: expected a folder with one folder of pictures a class, a table (.csv, .jsonl, .parquet) or arrays"
        f" (.npz, .safetensors), found {_what(path)}",
        hint="see docs/spec.md for the other sources of data",
    )


def is_data(path: Path) -> bool:
    """Whether a path can only be data: a table, arrays, or folders of pictures."""
    return path.suffix in {*TABLES, ".npz"} or (not (path / "config.json").is_file() and _is_image_folder(path))


def _is_image_folder(path: Path) -> bool:
    return path.is_dir() and any(_pictures(folder) for folder in sorted(path.iterdir()) if folder.is_dir())


def _architecture(path: Path) -> str:
    stored = describe_state(path, ("model",))
    tensors = without_prefix(stored.tensors, prefix_of(stored.tensors))
    found = guess({name: shape.shape for name, shape in tensors.items()})
    if found is None:
        raise SourceError(
            f"{path}: its {len(tensors)} tensors are not those of a torchvision classifier",
            hint="name the folder of a transformers model; for your own code write a `factory` entry: see docs/spec.md",
        )
    return found


def _pictures(folder: Path) -> bool:
    return any(path.suffix.lower() in PICTURES for path in folder.rglob("*"))


def _missing(path: Path) -> None:
    if not path.exists():
        raise SourceError(
            f"no such file or folder: {path}", hint="auditor init MODEL DATA, e.g. models/mine data/test.csv"
        )


def _what(path: Path) -> str:
    return "a folder without either" if path.is_dir() else f"a file called {path.name}"
