"""Arrays in a .npz or .safetensors file: inputs, labels and perhaps groups, never pickled objects."""

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.errors import RefusedError, SourceError
from auditor.sources.data.dataset import Dataset, Found, described, used_rows
from auditor.sources.digest import file_ref, file_sha256, verify
from auditor.sources.models.header import read_header
from auditor.sources.paths import Where, named
from auditor.spec.model import DataEntry
from auditor.spec.options import TensorsOptions
from auditor.subject import DataRef

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MAX_BYTES = 4 << 30
MAX_RATIO = 1000
DIMENSIONS = {("image", "u"): (3, 4), ("image", "f"): (4,), ("tabular", "f"): (2,), ("tabular", "i"): (2,),
    ("tabular", "u"): (2,)}  # fmt: skip


def describe(entry: DataEntry, root: Path) -> DataRef:
    """Rows and labels; the inputs' shape is checked, their values are not read into pictures."""
    options = TensorsOptions.model_validate(entry.options)
    where: Where = ("data", entry.name, "path")
    path = named(root, options.path, where)
    arrays = _arrays(path, options, entry.name)
    labels = _labels(arrays, options, entry.name)
    found = Found(
        labels, (file_ref(path, options.path),), options.modality, options.classes or (), options.groups is not None
    )
    return described(entry, found)


def load(ref: DataRef, root: Path) -> Dataset:
    """uint8 images (n x height x width [x 1 or 3]) become pictures; float images (n x channels x height x width) are
    taken as the model's inputs; tables are rows. SourceError names the first row that is not finite."""
    import numpy as np

    options = TensorsOptions.model_validate(ref.entry["options"])
    where: Where = ("data", ref.name, "path")
    path = named(root, options.path, where)
    verify(ref.files[0], file_sha256(path), where)
    arrays = _arrays(path, options, ref.name)
    labels = _labels(arrays, options, ref.name)
    inputs = arrays[options.inputs]
    if inputs.dtype.kind == "f":
        finite = np.isfinite(inputs.reshape(len(inputs), -1)).all(axis=1)
        if not finite.all():
            row = int(np.argmin(finite))
            raise SourceError(f"data.{ref.name}: {options.inputs}[{row}] holds NaN or infinity", where=where)
    rows = used_rows(labels, options, ref.files)
    groups = arrays[options.groups] if options.groups is not None else None
    kept = inputs[list(rows)]
    return Dataset(
        ref=ref,
        labels=tuple(labels[row] for row in rows),
        groups=tuple("" if groups is None else str(groups[row]) for row in rows),
        examples=tuple(hashlib.sha256(np.ascontiguousarray(row).tobytes()).hexdigest() for row in kept),
        fetch=_fetch(kept, options.modality),
    )


def _fetch(inputs: "Array", modality: str) -> Callable[[int], Any]:
    def picture(row: int) -> Any:
        from PIL import Image

        pixels = inputs[row]
        return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)

    if modality == "image" and inputs.dtype.kind == "u":
        return picture
    return lambda row: inputs[row]


def _arrays(path: Path, options: TensorsOptions, name: str) -> "dict[str, Array]":
    """The named arrays of the file, by content: a zip is .npz, everything else must be safetensors."""
    wanted = [key for key in (options.inputs, options.targets, options.groups) if key is not None]
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"PK"
    arrays = _from_npz(path, wanted, name) if zipped else _from_safetensors(path, name)
    missing = [key for key in wanted if key not in arrays]
    if missing:
        raise SourceError(
            f"data.{name}: no array {missing[0]!r} in {options.path}",
            hint=f"it holds: {', '.join(sorted(arrays)) or 'none of those named'}",
            where=("data", name, "path"),
        )
    _check(arrays[options.inputs], arrays[options.targets], options, name)
    return arrays


def _from_npz(path: Path, wanted: list[str], name: str) -> "dict[str, Array]":
    import numpy as np

    where: Where = ("data", name, "path")
    try:
        with zipfile.ZipFile(path) as archive:
            whole = sum(entry.file_size for entry in archive.infolist())
        if whole > min(MAX_BYTES, MAX_RATIO * path.stat().st_size):
            raise RefusedError(
                f"data.{name}.path: {path.name} ({path.stat().st_size} bytes) would inflate to {whole} bytes",
                hint="write it with numpy.savez",
                where=where,
            )
        with np.load(path, allow_pickle=False) as loaded:
            return {key: loaded[key] for key in loaded.files if key in wanted}
    except (ValueError, OSError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise SourceError(
            f"data.{name}.path: {path.name} is not a sound .npz of plain arrays: {error}",
            hint="numpy.savez(path, inputs=..., labels=...) with numbers or text, no Python objects",
            where=where,
        ) from error


def _from_safetensors(path: Path, name: str) -> "dict[str, Array]":
    from safetensors.numpy import load_file

    where: Where = ("data", name, "path")
    held = read_header(path, where)
    odd = next((f"{key} is {shape.dtype}" for key, shape in held.items() if shape.dtype.startswith(("BF", "F8"))), "")
    if odd:
        raise SourceError(
            f"data.{name}.path: {odd}, which numpy has not", hint="store it as float32 or float16", where=where
        )
    return dict(load_file(path))


def _check(inputs: "Array", labels: "Array", options: TensorsOptions, name: str) -> None:
    where: Where = ("data", name, "inputs")
    if inputs.ndim not in DIMENSIONS.get((options.modality, inputs.dtype.kind), ()):
        raise SourceError(
            f"data.{name}.inputs: these are no {options.modality} inputs: {inputs.dtype} {list(inputs.shape)}",
            hint="images: uint8 n x height x width [x 3], or float n x channels x height x width; tabular: n x columns",
            where=where,
        )
    if labels.ndim != 1 or len(labels) != len(inputs):
        raise SourceError(
            f"data.{name}: {len(inputs)} inputs, but labels of shape {list(labels.shape)}",
            hint="one label a row",
            where=("data", name, "targets"),
        )


def _labels(arrays: "dict[str, Array]", options: TensorsOptions, name: str) -> list[str]:
    labels = [str(label) for label in arrays[options.targets].tolist()]
    if options.classes is None:
        return labels
    index = {str(place): class_ for place, class_ in enumerate(options.classes)}
    unknown = sorted({label for label in labels if label not in index and label not in options.classes})
    if unknown:
        raise SourceError(
            f"data.{name}.classes: {len(options.classes)} classes named, but there are labels such as {unknown[0]!r}",
            where=("data", name, "classes"),
        )
    return [index.get(label, label) for label in labels]
