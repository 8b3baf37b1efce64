"""Each data source: described without decoding, then loaded and encoded as the model takes it."""

import hashlib
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor.errors import RefusedError, SourceError
from auditor.sources import data
from auditor.sources.data.batch import BatchLoader
from auditor.sources.data.sampling import permuted, sampled, split
from auditor.sources.encode import Pictures
from auditor.sources.steps import Steps
from auditor.spec.model import DataEntry
from auditor.spec.options import Sample
from auditor.subject import DataRef
from tests.sources.conftest import picture


def described(root: Path, source: Any, **options: Any) -> DataRef:
    return data.describe(DataEntry(name="d", source=source, options=options), root)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for index in range(12):
        picture(tmp_path / "pics" / ("cat" if index % 3 else "dog") / f"plant{index // 4}_{index}.png", index)
    (tmp_path / "pics" / "notes.txt").write_text("no class")
    return tmp_path


def test_digits_equal_scikit_learn(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    ref = described(tmp_path, "sklearn", name="digits")
    dataset = data.load(ref, tmp_path)
    theirs = load_digits()
    assert (ref.rows, ref.used, ref.classes[3]) == (1797, 1797, "3")
    assert list(map(int, dataset.labels)) == theirs.target.tolist()
    ours = np.stack([np.asarray(dataset.fetch(row)) for row in range(50)])
    np.testing.assert_array_equal(ours, np.rint(theirs.images[:50] * 255 / 16))


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_tables_equal_scikit_learn(name: str, tmp_path: Path) -> None:
    import sklearn.datasets

    theirs = getattr(sklearn.datasets, f"load_{name}")()
    dataset = data.load(described(tmp_path, "sklearn", name=name), tmp_path)
    assert dataset.ref.classes == tuple(theirs.target_names)
    assert dataset.ref.columns == tuple(theirs.feature_names)
    np.testing.assert_array_equal(np.stack([dataset.fetch(row) for row in range(dataset.rows)]), theirs.data)
    assert [theirs.target_names[place] for place in theirs.target] == list(dataset.labels)


def test_the_split_is_stratified_disjoint_and_fixed(tmp_path: Path) -> None:
    parts = {part: described(tmp_path, "sklearn", name="digits", split=part) for part in ("train", "test")}
    loaded = {part: data.load(ref, tmp_path) for part, ref in parts.items()}
    assert (parts["train"].rows, parts["test"].rows) == (1258, 539)
    assert not set(loaded["train"].examples) & set(loaded["test"].examples)
    assert max(parts["test"].counts.values()) - min(parts["test"].counts.values()) <= 4
    assert split(["a"] * 10, "test", "seed") == split(["a"] * 10, "test", "seed")
    assert parts["train"].digest != parts["test"].digest


def test_picture_folder(pictures: Path) -> None:
    ref = described(pictures, "image_folder", path="pics", group=r"^(plant\d+)_")
    dataset = data.load(ref, pictures)
    assert (ref.rows, ref.classes, ref.counts) == (12, ("cat", "dog"), {"cat": 8, "dog": 4})
    assert ref.grouped and set(dataset.groups) == {"plant0", "plant1", "plant2"}
    first = pictures / "pics" / "cat" / "plant0_1.png"
    assert dataset.examples[0] == hashlib.sha256(first.read_bytes()).hexdigest()
    assert dataset.fetch(0).size == (12, 10)


def test_damaged_pictures_are_left_out_and_named(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    (pictures / "pics" / "cat" / "plant0_1.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (pictures / "pics" / "dog" / "plant9_x.jpg").write_bytes(b"GIF89a\x01\x00\x01\x00\x00\x00\x00;")
    picture(pictures / "pics" / "dog" / "plant9_huge.png", 1, (40, 40))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    ref = described(pictures, "image_folder", path="pics")
    dataset = data.load(ref, pictures)
    faults = {left.name: left.reason for left in dataset.left_out}
    assert (ref.used, dataset.rows) == (14, 11)
    assert set(faults) == {"cat/plant0_1.png", "dog/plant9_x.jpg", "dog/plant9_huge.png"}
    assert "DecompressionBomb" in faults["dog/plant9_huge.png"]
    assert all(dataset.fetch(row).size == (12, 10) for row in range(dataset.rows))
    (said,) = BatchLoader(dataset, Pictures(Steps()), 4).remarks(11)
    assert said.startswith("3 of 14 pictures of d could not be read and were left out: ")
    assert all(name in said for name in faults)


def test_pictures_of_other_formats_are_left_out_and_named_too(pictures: Path) -> None:
    from PIL import Image

    Image.new("RGB", (9, 9)).save(pictures / "pics" / "dog" / "scan.TIF", "TIFF")
    dataset = data.load(described(pictures, "image_folder", path="pics"), pictures)
    assert [left.name for left in dataset.left_out] == ["dog/scan.TIF"]
    assert len(dataset.labels) == 12


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pics" / "a").mkdir(parents=True)
    (tmp_path / "pics" / "a" / "x.png").write_bytes(b"no")
    with pytest.raises(SourceError, match="none of 1 pictures can be read"):
        data.load(described(tmp_path, "image_folder", path="pics"), tmp_path)


def test_picture_folder_errors(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(SourceError, match="12 file names, such as plant0_1.png without".replace(".", r"\.")):
        described(pictures, "image_folder", path="pics", group="^(nothing)")
    with pytest.raises(SourceError, match="not a regular expression"):
        described(pictures, "image_folder", path="pics", group="(")
    with pytest.raises(SourceError, match="4 pictures without a class folder"):
        described(pictures, "image_folder", path="pics/dog")
    with pytest.raises(SourceError, match="changed since"):
        ref = described(pictures, "image_folder", path="pics")
        picture(pictures / "pics" / "dog" / "new.png", 5)
        data.load(ref, pictures)
    outside = tmp_path_factory.mktemp("outside") / "secret.png"
    picture(outside, 3)
    (pictures / "pics" / "dog" / "link.png").symlink_to(outside)
    with pytest.raises(RefusedError, match="leads out"):
        described(pictures, "image_folder", path="pics")


def csv_file(root: Path, text: str) -> str:
    (root / "rows.csv").write_text(text)
    return "rows.csv"


def test_csv_texts_and_columns(tmp_path: Path) -> None:
    path = csv_file(tmp_path, 'review,stars,who\n"good, very",pos,a\nbad,neg,b\n\n"two\nlines",pos,a\n')
    ref = described(tmp_path, "csv", path=path, text="review", label="stars", group="who")
    dataset = data.load(ref, tmp_path)
    assert (ref.modality, ref.rows, ref.counts, ref.grouped) == ("text", 3, {"neg": 1, "pos": 2}, True)
    assert [dataset.fetch(row) for row in range(3)] == ["good, very", "bad", "two\nlines"]
    assert dataset.groups == ("a", "b", "a")
    path = csv_file(tmp_path, "a,b,y\n1,2.5,0\n3,-1e3,1\n")
    ref = described(tmp_path, "csv", path=path, label="y")
    assert ref.modality == "tabular"
    assert data.load(ref, tmp_path).fetch(1).tolist() == [3.0, -1000.0]


CSV_ERRORS = {
    r"no column 'star'.*\n.*did you mean 'stars'": ("review,stars\na,b\n", {"text": "review", "label": "star"}),
    r"rows\.csv:2: expected 2 fields, found 3": ("x,y\na,b,c\n", {"text": "x", "label": "y"}),
    r"none of 2 rows can be read; rows\.csv:2: column 'x': .* found 'nan'": ("x,y\nnan,b\nred,b\n", {"label": "y"}),
    "expected a finite number, found 'inf'": ("x,y\ninf,b\n", {"label": "y"}),
    "expected a finite number, found 'red'": ("x,y\nred,b\n", {"label": "y"}),
    r"the label \(column 'y'\) is empty": ("x,y\n1, \n", {"label": "y"}),
    "two columns named 'x'": ("x,x,y\n1,2,3\n", {"label": "y"}),
    "it has no rows": ("x,y\n", {"label": "y"}),
    "not a CSV file": ('x,y\n"1,2\n', {"label": "y"}),
}


@pytest.mark.parametrize("message", CSV_ERRORS)
def test_csv_errors(message: str, tmp_path: Path) -> None:
    text, options = CSV_ERRORS[message]
    with pytest.raises(SourceError, match=message) as caught:
        described(tmp_path, "csv", path=csv_file(tmp_path, text), **options)
    assert caught.value.where[:2] == ("data", "d")


def test_tensors(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    pixels = np.random.default_rng(0).integers(0, 255, (6, 5, 4, 3)).astype(np.uint8)
    np.savez(tmp_path / "x.npz", inputs=pixels, labels=np.array([0, 1, 0, 1, 1, 0]), who=np.array(list("aabbcc")))
    ref = described(tmp_path, "tensors", path="x.npz", classes=["no", "yes"], groups="who")
    dataset = data.load(ref, tmp_path)
    assert ref.counts == {"no": 3, "yes": 3} and dataset.groups[2] == "b"
    np.testing.assert_array_equal(np.asarray(dataset.fetch(4)), pixels[4])
    floats = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    save_file({"inputs": floats, "labels": np.arange(4)}, tmp_path / "x.safetensors")
    dataset = data.load(described(tmp_path, "tensors", path="x.safetensors", modality="tabular"), tmp_path)
    np.testing.assert_array_equal(dataset.fetch(2), floats[2])
    floats[1, 2] = np.nan
    np.savez(tmp_path / "bad.npz", inputs=floats, labels=np.arange(4))
    with pytest.raises(SourceError, match=r"inputs\[1\] holds NaN"):
        data.load(described(tmp_path, "tensors", path="bad.npz", modality="tabular"), tmp_path)


def test_hostile_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", inputs=np.array([{}, {}], dtype=object), labels=np.arange(2))
    with pytest.raises(SourceError, match=r"not a sound \.npz"):
        described(tmp_path, "tensors", path="objects.npz")
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("inputs.npy", bytes(1 << 26))
    with pytest.raises(RefusedError, match="would inflate to"):
        described(tmp_path, "tensors", path="bomb.npz")
    np.savez(tmp_path / "shape.npz", inputs=np.zeros((3, 4)), labels=np.arange(2))
    with pytest.raises(SourceError, match="no image inputs"):
        described(tmp_path, "tensors", path="shape.npz")
    with pytest.raises(SourceError, match="3 inputs, but labels of shape"):
        described(tmp_path, "tensors", path="shape.npz", modality="tabular")
    with pytest.raises(SourceError, match=r"no array 'y'.*\n.*inputs"):
        described(tmp_path, "tensors", path="shape.npz", targets="y")


def test_samples_are_nested_seeded_and_stratified() -> None:
    labels = ["a"] * 90 + ["b"] * 10
    small, large = (sampled(labels, Sample(n=n), "seed") for n in (10, 40))
    assert set(small) < set(large) and small != sampled(labels, Sample(n=10), "other")
    counts = Counter(labels[row] for row in sampled(labels, Sample(n=20, stratify=True), "seed"))
    assert counts == {"a": 18, "b": 2}
    assert sampled(labels, Sample(n=200), "seed") == tuple(range(100))


def test_the_permutation_is_uniform() -> None:
    """Over 2,000 seeds each of 5 rows comes first about 400 times (sd 18)."""
    first = Counter(permuted(5, str(seed))[0] for seed in range(2000))
    assert all(abs(count - 400) < 90 for count in first.values())
