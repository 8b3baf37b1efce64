"""A drafted spec is valid as it stands, says what it found and what it assumed, and overwrites nothing."""

import json
import shlex
from pathlib import Path

import pytest

from auditor import audit
from auditor.cli import entry
from auditor.draft import draft
from auditor.errors import SourceError, SpecError


@pytest.fixture
def digits(project: Path) -> Path:
    """A transformers folder with an image processor."""
    return project / "specs" / "assets" / "digits-shipped"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of two pictures for each of three classes."""
    from PIL import Image

    for name in ("daisy", "rose", "tulip"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for shade in (10, 200):
            Image.new("RGB", (40, 30), (shade, 90, 20)).save(tmp_path / "pictures" / name / f"{shade}.png")
    return tmp_path / "pictures"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state dict of a torchvision classifier with a head of three classes, wrapped as DataParallel does."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    from torchvision.models import shufflenet_v2_x0_5

    module = shufflenet_v2_x0_5(weights=None, num_classes=3)
    path = tmp_path / "flowers.safetensors"
    save_file({f"module.{name}": value for name, value in module.state_dict().items()}, path)
    return path


@pytest.fixture
def reviews(tmp_path: Path) -> tuple[Path, Path]:
    """A tiny transformers folder that classifies texts, and a CSV file."""
    from transformers import BertConfig, BertForSequenceClassification

    folder = tmp_path / "reviews"
    config = BertConfig(
        vocab_size=32, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        id2label={0: "NEGATIVE", 1: "POSITIVE"}, label2id={"NEGATIVE": 0, "POSITIVE": 1},
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    table = tmp_path / "test.csv"
    table.write_text('id,review,label\n1,"a long bad evening",negative\n2,"a long good evening",positive\n')
    return folder, table


def _drafted(model: Path, data: Path, out: Path) -> str:
    assert entry.code(["init", str(model), str(data), "--out", str(out)]) == 0
    return out.read_text(encoding="utf-8")


def test_a_state_dict_and_a_folder_of_pictures(tmp_path: Path, state: Path, pictures: Path) -> None:
    text = _drafted(state, pictures, tmp_path / "audit.yaml")
    assert "  arch: shufflenet_v2_x0_5\n" in text
    assert "  weights: flowers.safetensors\n" in text
    assert "extends: [auditor:vision-classifier]" in text
    assert "classes: [daisy, rose, tulip]" in text
    assert "# ASSUMED: the labels of the data in sorted order" in text
    assert text.count("# ASSUMED") >= 6
    assert audit.validate(tmp_path / "audit.yaml") is not None


def test_a_transformers_folder_and_a_table(tmp_path: Path, reviews: tuple[Path, Path]) -> None:
    text = _drafted(*reviews, tmp_path / "audit.yaml")
    assert "extends: [auditor:text-classifier]" in text
    assert "  text: review" in text
    assert "  label: label" in text
    assert "    negative: NEGATIVE\n    positive: POSITIVE\n" in text
    assert audit.validate(tmp_path / "audit.yaml") is not None


def test_the_digest_is_that_of_the_file(tmp_path: Path, digits: Path, pictures: Path) -> None:
    import hashlib

    text = draft(digits, pictures, tmp_path / "audit.yaml")
    assert hashlib.sha256((digits / "model.safetensors").read_bytes()).hexdigest() in text


def test_nothing_is_overwritten(
    tmp_path: Path, state: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "audit.yaml").write_text("mine")
    assert entry.code(["init", str(state), str(pictures), "--out", str(tmp_path / "audit.yaml")]) == 2
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "audit.yaml").read_text() == "mine"


def test_what_cannot_be_named_is_an_error_that_says_what_was_expected(tmp_path: Path, pictures: Path) -> None:
    from safetensors.numpy import save_file

    with pytest.raises(SourceError, match="no such file"):
        draft(tmp_path / "absent", pictures, tmp_path / "a.yaml")
    with pytest.raises(SourceError, match="expected a transformers folder"):
        draft(pictures, pictures, tmp_path / "a.yaml")
    import numpy as np

    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "own.safetensors")
    with pytest.raises(SourceError, match="not those of a torchvision classifier"):
        draft(tmp_path / "own.safetensors", pictures, tmp_path / "a.yaml")


def _problems(out: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        audit.validate(out)
    return [problem.message for problem in caught.value.problems]


def test_what_was_not_named_is_left_to_be_filled_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "audit.yaml"
    assert entry.code(["init", "--out", str(out)]) == 0
    assert "fill in the model and the data, then: auditor validate" in capsys.readouterr().out
    model, data = _problems(out)
    assert model.startswith("path: still to be filled in: the folder of the model")
    assert data.startswith("path: still to be filled in: the folder with one folder of pictures a class")


def test_a_model_alone_tells_what_its_data_must_be(tmp_path: Path, reviews: tuple[Path, Path]) -> None:
    out = tmp_path / "audit.yaml"
    assert entry.code(["init", str(reviews[0]), "--out", str(out)]) == 0
    assert [problem.partition(": still to be filled in: ")[0] for problem in _problems(out)] == [
        "path",
        "text",
        "label",
    ]


def test_data_alone_is_known_as_data(tmp_path: Path, pictures: Path, reviews: tuple[Path, Path]) -> None:
    for data, preset in ((pictures, "vision-classifier"), (reviews[1], "text-classifier")):
        out = tmp_path / f"{preset}.yaml"
        assert entry.code(["init", str(data), "--out", str(out)]) == 0
        assert f"extends: [auditor:{preset}]" in out.read_text()
        assert len(_problems(out)) == 1


def test_what_does_not_go_together_is_refused(
    tmp_path: Path, reviews: tuple[Path, Path], pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, table = reviews
    out = tmp_path / "audit.yaml"
    assert entry.code(["init", str(table), str(model), "--out", str(out)]) == 2
    assert f"the model comes first: auditor init {model} {table}" in capsys.readouterr().err
    assert entry.code(["init", str(model), str(pictures), "--out", str(out)]) == 2
    assert "expected text data for this model, found image data" in capsys.readouterr().err
    assert not out.exists()


def test_files_elsewhere_come_with_the_flags_that_reach_them(
    tmp_path: Path, digits: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The printed command works as it stands."""
    (tmp_path / "my specs").mkdir()
    out = tmp_path / "my specs" / "audit.yaml"
    assert entry.code(["init", str(digits), str(pictures), "--out", str(out)]) == 0
    command = capsys.readouterr().out.partition("then: auditor ")[2]
    assert f"#     auditor {command}" in out.read_text()
    assert shlex.split(command) == ["validate", str(out), "--root", str(digits), "--root", str(pictures)]
    assert entry.code(shlex.split(command)) == 0
