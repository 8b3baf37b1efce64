"""A digest speaks of bytes and choices, not of places: a moved folder keeps its results."""

import shutil
from pathlib import Path

from auditor.sources import data, models
from auditor.spec.model import DataEntry, ModelEntry

ASSETS = Path(__file__).parents[2] / "specs" / "assets"


def shipped(path: str, **more: str) -> ModelEntry:
    return ModelEntry(name="shipped", source="transformers", options={"path": path}, **more)


def test_a_moved_model_has_the_same_digest_and_a_changed_one_another(tmp_path: Path) -> None:
    shutil.copytree(ASSETS / "digits-shipped", tmp_path / "elsewhere")
    before = models.describe(shipped("digits-shipped"), ASSETS)
    assert models.describe(shipped("elsewhere"), tmp_path).digest == before.digest
    config = tmp_path / "elsewhere" / "preprocessor_config.json"
    config.write_text(config.read_text().replace("}", " }"))
    assert models.describe(shipped("elsewhere"), tmp_path).digest != before.digest


def test_the_steps_in_the_names_of_checkpoints_count(tmp_path: Path) -> None:
    for name, step in (("one", "12"), ("two", "14")):
        folder = tmp_path / name
        shutil.copytree(ASSETS / "digits-shipped", folder)
        (folder / "ckpt" / "step-0010.safetensors").rename(folder / "ckpt" / f"step-{step}.safetensors")
    found = [
        models.describe(shipped(name, checkpoints=f"{name}/ckpt/step-*.safetensors"), tmp_path).digest
        for name in ("one", "two")
    ]
    assert found[0] != found[1]


def test_a_moved_csv_has_the_same_digest_and_another_column_another(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for place in ("a.csv", "sub/b.csv"):
        (tmp_path / place).write_text("text,other,label\ngood,fine,1\nbad,poor,0\n")

    def digest(path: str, text: str = "text") -> str:
        entry = DataEntry(name="d", source="csv", options={"path": path, "text": text, "label": "label"})
        return data.describe(entry, tmp_path).digest

    assert digest("a.csv") == digest("sub/b.csv") != digest("a.csv", "other")
