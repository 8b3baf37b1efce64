"""Bad input ends in one reported row, one counted exclusion or one clear message, from the files to the evidence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from auditor.artifacts.predictions import Predictions, predictions_of
from auditor.checks.task.performance import Performance
from auditor.errors import SourceError
from auditor.evidence import Evidence, Failure
from auditor.execute.sweep import sweep
from auditor.sources import data, labels, models
from auditor.sources.data.batch import BatchLoader
from auditor.sources.encode import Pictures
from auditor.sources.steps import Steps
from auditor.spec.model import DataEntry, ModelEntry
from auditor.subject import Runtime, Subject
from tests.sources.conftest import picture
from tests.tiny import save_all


def subject(root: Path, model: str, **options: Any) -> Subject:
    """A model of the zoo on some data."""
    ref = models.describe(ModelEntry(name="m", source="transformers", options={"path": model}), root)
    source = options.pop("source")
    rows = data.describe(DataEntry(name="d", source=source, options=options), root)
    return Subject(model=ref, data=labels.match(ref, rows), runtime=Runtime(batch_size=16))


def predicted(root: Path, given: Subject) -> Any:
    need = predictions_of(given)
    model, batches = need.needs().values()
    return sweep([need], model.load(root), batches.load(root))[need.key]  # type: ignore[attr-defined]  # live needs


def performance(root: Path, given: Subject) -> Evidence:
    assert Performance().applies(given) is None
    found = predicted(root, given)
    assert isinstance(found, Predictions), found
    return Performance().measure(predictions=found, seed=0)


@pytest.fixture
def root(zoo: Path, tmp_path: Path) -> Path:
    """A root of its own that sees the models of the zoo."""
    import shutil

    for name in ("vit", "bert"):
        shutil.copytree(zoo / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("lifted", [False, True])
def test_one_corrupt_picture_of_many_is_one_reported_row(
    root: Path, lifted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lifted)  # as a library of the same process may have
    for index in range(40):
        picture(root / "pics" / ("cat", "dog", "Palace")[index % 3] / f"{index}.png", index, (32, 32))
    bad = root / "pics" / "dog" / "bad.jpg"
    bad.write_bytes((root / "pics" / "cat" / "0.png").read_bytes()[:200])
    evidence = performance(root, subject(root, "vit", source="image_folder", path="pics"))
    assert len(evidence.examples) == 40
    assert [note for note in evidence.notes if "bad.jpg" in note] == [
        "1 of 41 pictures of d could not be read and was left out: dog/bad.jpg."
    ]


def test_one_bad_line_of_a_table_is_one_reported_row(root: Path) -> None:
    lines = [f"a {'good' if index % 2 else 'bad'} film,{'pos' if index % 2 else 'neg'}" for index in range(30)]
    (root / "t.csv").write_text("text,label\n" + "\n".join([*lines[:9], "one,two,three", *lines[9:]]) + "\n")
    given = subject(root, "bert", source="csv", path="t.csv", text="text", label="label")
    evidence = performance(root, given)
    assert given.data is not None and (given.data.rows, given.data.corrupt) == (30, 1)
    assert "1 of 31 texts of d could not be read and was left out: t.csv:11." in evidence.notes


def test_logits_that_are_not_numbers_are_a_failure_that_names_the_row(root: Path) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(root / "bert" / "model.safetensors")
    state["bert.embeddings.word_embeddings.weight"][5] = torch.nan  # "good"
    save_file(state, root / "bert" / "model.safetensors", metadata={"format": "pt"})
    (root / "t.csv").write_text("text,label\nbad,neg\ngood,pos\nfilm,neg\n")
    failed = predicted(root, subject(root, "bert", source="csv", path="t.csv", text="text", label="label"))
    assert (
        isinstance(failed, Failure) and "logits are not finite (NaN or infinite) on 1 of 3 examples" in failed.message
    )
    assert "Check the weights" in failed.hint


def test_an_empty_class_is_named_and_nothing_is_said_of_it(root: Path) -> None:
    for index in range(12):
        picture(root / "pics" / ("cat" if index % 3 else "dog") / f"{index}.png", index, (32, 32))
    evidence = performance(root, subject(root, "vit", source="image_folder", path="pics"))
    assert "1 of 3 classes have no example here; nothing is said of Palace." in evidence.notes
    assert {m.of for m in evidence.measurements if m.name == "worst_class_recall"} == {"cat", "dog"}


def test_a_single_class_leaves_out_what_needs_two(root: Path) -> None:
    for index in range(12):
        picture(root / "pics" / "cat" / f"{index}.png", index, (32, 32))
    evidence = performance(root, subject(root, "vit", source="image_folder", path="pics"))
    names = {m.name for m in evidence.measurements}
    assert "accuracy" in names and "auroc" not in names
    assert any(note.startswith("auroc was not measured: ") for note in evidence.notes)
    assert all(np.isfinite(m.value) for m in evidence.measurements)


def test_labels_beyond_the_head_list_both_sides(root: Path) -> None:
    (root / "t.csv").write_text("text,label\nbad,0\ngood,1\nfilm,2\n")
    with pytest.raises(SourceError, match=r"(?s)labels in the data: 0, 1, 2.*classes of the model: neg, pos"):
        subject(root, "bert", source="csv", path="t.csv", text="text", label="label")


MODES = {
    "grey.png": ("L", 3), "palette.png": ("P", 3), "alpha.png": ("RGBA", 1), "grey_alpha.png": ("LA", 3),
    "bits.png": ("1", 130), "print.jpg": ("CMYK", 12), "deep.png": ("I;16", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", MODES)
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_other_channels_look_like_themselves(tmp_path: Path, name: str, channels: int) -> None:
    """A grey ramp saved in each mode comes back as the ramp; a palette, ink and a JPEG round it a little."""
    mode, tolerance = MODES[name]
    ramp = np.tile(np.linspace(0, 255, 16).round().astype(np.uint8), (16, 1))
    grey = Image.fromarray(ramp)
    if mode == "I;16":
        held = Image.fromarray(ramp.astype(np.uint16) * 257)
    elif mode == "CMYK":
        held = grey.convert("RGB").convert("CMYK")
    else:
        held = grey.convert("RGBA").convert(mode) if "A" in mode else grey.convert(mode, dither=Image.Dither.NONE)
    (tmp_path / "pics" / "a").mkdir(parents=True)
    held.save(tmp_path / "pics" / "a" / name, quality=100) if name.endswith("jpg") else held.save(
        tmp_path / "pics" / "a" / name
    )
    dataset = data.load(
        data.describe(DataEntry(name="d", source="image_folder", options={"path": "pics"}), tmp_path), tmp_path
    )
    encoder = Pictures(Steps(channels=1 if channels == 1 else 3))
    (seen,) = BatchLoader(dataset, encoder, 4).shown(range(1))
    inputs = encoder.encode([dataset.fetch(0)])
    assert inputs.shape == (1, channels, 16, 16) and inputs.dtype == torch.float32
    assert np.abs(seen[..., 0].astype(int) - ramp).max() <= tolerance
    np.testing.assert_allclose(inputs[0, 0].numpy() * 255, seen[..., 0], atol=1e-3)


def test_arrays_of_other_channels_are_an_error_that_names_their_shape(root: Path) -> None:
    """Pictures are converted; arrays that already are inputs cannot be."""
    np.savez(root / "two.npz", inputs=np.zeros((6, 2, 32, 32), np.float32), labels=np.arange(6) % 3)
    found = predicted(root, subject(root, "vit", source="tensors", path="two.npz"))
    assert isinstance(found, Failure) and "channel" in found.message
    assert "inputs of shape 6 x 2 x 32 x 32" in found.hint and "`transforms:`" in found.hint


@pytest.mark.parametrize(("name", "last"), [("bert", None), ("gpt", "the"), ("masked", "[MASK]")])
def test_a_text_longer_than_the_window_is_cut_counted_and_reported(root: Path, name: str, last: str | None) -> None:
    if name != "bert":
        save_all(root)
    long = " ".join(["good"] * 14 + ["the"] * 10)
    (root / "t.csv").write_text(f"text,label\n{long},pos\nbad,neg\na film,neg\n")
    given = subject(root, name, source="csv", path="t.csv", text="text", label="label")
    need = predictions_of(given)
    model, batches = need.needs().values()
    loader = batches.load(root)  # type: ignore[attr-defined]  # a live need
    found = sweep([need], model.load(root), loader)[need.key]  # type: ignore[attr-defined]  # a live need
    assert "1 of 3 texts of d are longer than 16 tokens and read only so far." in found.notes()
    inputs = loader.batch(range(3)).inputs
    assert inputs["input_ids"].shape == (3, 16)
    if last is not None:
        row = int(inputs["attention_mask"].sum(1).argmax())
        place = int(inputs["position"][row])
        tokens = loader.encoder.tokens(long)
        assert tokens[place] == last and place == {"gpt": 15, "masked": 14}[name]
