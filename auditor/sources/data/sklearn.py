"""Data sets shipped with scikit-learn, read from its own files without importing it."""

import ast
import csv
import gzip
import hashlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from auditor.errors import SourceError
from auditor.sources.data.dataset import Dataset, Found, described, used_rows
from auditor.sources.data.sampling import split
from auditor.sources.digest import file_ref, file_sha256, verify
from auditor.spec.model import DataEntry
from auditor.spec.options import SklearnOptions
from auditor.subject import DataRef, Modality

FILES = {"digits": "digits.csv.gz", "breast_cancer": "breast_cancer.csv", "wine": "wine_data.csv", "iris": "iris.csv"}
SPLIT_SEED = "auditor:sklearn-split:1"
DIGIT_MAX = 16


def describe(entry: DataEntry, root: Path) -> DataRef:
    """Rows and class names from the shipped file; `split` is fixed, seeded and stratified, 70 to 30."""
    options = SklearnOptions.model_validate(entry.options)
    if options.group is not None:
        raise SourceError(
            f"data.{entry.name}.group: scikit-learn's {options.name} has no groups",
            hint="leave `group:` out",
            where=("data", entry.name, "group"),
        )
    path = _file(options.name, entry.name)
    _, labels, classes = _table(path, options)
    ref = file_ref(path, _shown(options.name))
    modality: Modality = "image" if options.name == "digits" else "tabular"
    columns = () if modality == "image" else _columns(options.name, path)
    return described(entry, Found(labels, (ref,), modality, classes, columns=columns))


def load(ref: DataRef, root: Path) -> Dataset:
    """digits: 8 x 8 grey Pillow pictures, values 0..16 scaled to 0..255; the others: rows of float64 features."""
    options = SklearnOptions.model_validate(ref.entry["options"])
    path = _file(options.name, ref.name)
    verify(ref.files[0], file_sha256(path), ("data", ref.name, "name"))
    features, labels, _ = _table(path, options)
    rows = used_rows(labels, options, ref.files)
    kept = [features[row] for row in rows]
    return Dataset(
        ref=ref,
        labels=tuple(labels[row] for row in rows),
        groups=("",) * len(rows),
        examples=tuple(hashlib.sha256(",".join(values).encode()).hexdigest() for values in kept),
        fetch=_digits(kept) if options.name == "digits" else _numbers(kept),
    )


def _columns(name: str, path: Path) -> tuple[str, ...]:
    """The names of a table's columns: they stand only in the code of load_NAME, `feature_names = ...`."""
    tree = ast.parse((path.parents[1] / "_base.py").read_bytes())
    for load in (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == f"load_{name}"):
        for node in ast.walk(load):
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "feature_names":
                return tuple(str(each.value) for each in ast.walk(node.value) if isinstance(each, ast.Constant))
    return ()


def _digits(rows: list[list[str]]) -> Callable[[int], Any]:
    def fetch(row: int) -> Any:
        import numpy as np
        from PIL import Image

        values = np.asarray([float(value) for value in rows[row]]).reshape(8, 8)
        return Image.fromarray(np.rint(values * 255 / DIGIT_MAX).astype(np.uint8))

    return fetch


def _numbers(rows: list[list[str]]) -> Callable[[int], Any]:
    def fetch(row: int) -> Any:
        import numpy as np

        return np.asarray([float(value) for value in rows[row]])

    return fetch


def _file(name: str, entry: str) -> Path:
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise SourceError(
            f"data.{entry}: scikit-learn is not installed", hint="pip install scikit-learn", where=("data", entry)
        )
    return Path(spec.origin).parent / "datasets" / "data" / FILES[name]


def _shown(name: str) -> str:
    return f"package:sklearn/datasets/data/{FILES[name]}"


def _table(path: Path, options: SklearnOptions) -> tuple[list[list[str]], list[str], tuple[str, ...]]:
    """Features as text, class name of each row and the class names in scikit-learn's order, of the chosen split."""
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    rows = list(csv.reader(text.splitlines()))
    if options.name == "digits":
        classes = tuple(str(digit) for digit in range(10))
    else:
        classes, rows = tuple(rows[0][2:]), rows[1:]
    labels = [classes[int(float(row[-1]))] for row in rows]
    chosen = split(labels, options.split, f"{SPLIT_SEED}:{options.name}")
    return [rows[row][:-1] for row in chosen], [labels[row] for row in chosen], classes
