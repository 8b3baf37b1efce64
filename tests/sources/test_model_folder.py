"""A transformers folder that is not what it seems: links, pipes, folders, foreign code deep inside, other tasks."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.errors import RefusedError, SourceError
from auditor.sources import models
from auditor.spec.model import ModelEntry
from tests.sources.conftest import edit_json

INDEX = "model.safetensors.index.json"


def describe(root: Path) -> Any:
    return models.describe(ModelEntry(name="m", source="transformers", options={"path": "bert"}), root)


@pytest.fixture
def root(zoo: Path, tmp_path: Path) -> Path:
    shutil.copytree(zoo / "bert", tmp_path / "root" / "bert")
    return tmp_path / "root"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_folder_in_the_place_of_a_file_is_told_and_never_read(
    root: Path, name: str, make: Callable[[Path], None]
) -> None:
    (root / "bert" / name).unlink(missing_ok=True)
    make(root / "bert" / name)
    with pytest.raises(SourceError, match=f"expected {name} to be a file"):
        describe(root)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_no_file_of_the_folder_may_be_a_link_out_of_the_root(root: Path, name: str) -> None:
    shutil.move(root / "bert" / name, root.parent / name)
    (root / "bert" / name).symlink_to(root.parent / name)
    with pytest.raises(RefusedError, match=f"{name}' leads out"):
        describe(root)


@pytest.mark.parametrize("held", ['{"weight_map": ["a"]}', '{"weight_map": {}}', "{}"])
def test_an_index_without_a_table_is_told(root: Path, held: str) -> None:
    (root / "bert" / "model.safetensors").unlink()
    (root / "bert" / INDEX).write_text(held)
    with pytest.raises(SourceError, match="holds no `weight_map`"):
        describe(root)


def test_foreign_code_is_refused_at_any_depth(root: Path) -> None:
    edit_json(root / "bert" / "config.json", text_config={"deep": [{"auto_map": {"AutoConfig": "own.Config"}}]})
    with pytest.raises(RefusedError, match="auto_map"):
        describe(root)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"problem_type": "multi_label_classification"}, "chooses one class"),
        ({"architectures": ["BertForTokenClassification"]}, "no encoder-decoder pairs, detection"),
        ({"architectures": ["BertLMHeadModel"], "model_type": "bert"}, "reads in both directions"),
        ({"architectures": ["FooForSequenceClassification"]}, "of the installed transformers"),
        ({"architectures": "BertForSequenceClassification"}, "of the installed transformers"),
    ],
)
def test_what_this_version_cannot_judge_is_told_before_anything_runs(
    root: Path, change: dict[str, Any], told: str
) -> None:
    edit_json(root / "bert" / "config.json", **change)
    with pytest.raises(SourceError, match=told):
        describe(root)


def test_a_head_of_one_output_is_a_regression(root: Path) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    small = {"vocab_size": 12, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    BertForSequenceClassification(BertConfig(**small, num_labels=1)).save_pretrained(root / "bert")
    ref = describe(root)
    assert (ref.task, ref.outputs, ref.classes) == ("regression", 1, ())
    edit_json(root / "bert" / "config.json", problem_type="single_label_classification")
    with pytest.raises(SourceError, match="at least 2 classes"):
        describe(root)


@pytest.mark.parametrize("name", ["tokenizer.model", "spm.model", "tokenizer.json"])
def test_every_file_that_a_tokenizer_reads_is_in_the_digest(root: Path, name: str) -> None:
    before = describe(root).digest
    with (root / "bert" / name).open("ab") as stream:
        stream.write(b" ")
    assert describe(root).digest != before


@pytest.mark.parametrize(
    ("config", "length"),
    [
        ({"max_position_embeddings": 16}, 16),
        ({"n_positions": 16}, 16),
        ({"max_position_embeddings": 514, "model_type": "roberta", "pad_token_id": 1}, 512),
        ({}, 512),
    ],
)
def test_the_window_is_what_the_positions_hold(config: dict[str, Any], length: int) -> None:
    from auditor.sources.models.tokens import _window
    from auditor.spec.options import TransformersOptions

    found = _window(config, {"model_max_length": 10**30}, TransformersOptions(path="x"))
    assert found == (length, "model files" if config else "assumed")
