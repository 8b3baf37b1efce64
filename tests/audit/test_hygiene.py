"""Files that change after they were described are never used in silence: the check ends in error and says so."""

import json
from pathlib import Path

import pytest
from desk import SHIPPED, Desk, check, ended, heard

DATA = {"source": "sklearn", "name": "digits", "split": "test"}
PERFORMANCE = check("performance", "task.performance", data="data", expect={"accuracy": ">= 0.1"})
SLOW = check("slow", with_={"pause": 2}, data="data")


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        pytest.param("config.json", marks=pytest.mark.slow),
        pytest.param("preprocessor_config.json", marks=pytest.mark.slow),
    ],
)
def test_a_model_that_changes_between_plan_and_load(desk: Desk, name: str) -> None:
    desk.write([SLOW, PERFORMANCE], data=DATA)
    process = desk.start(*desk.words())
    heard(process, "slow ...")
    path = desk.root / "assets" / "digits-shipped" / name
    path.write_bytes(_changed(path))
    end = ended(process)
    assert end.code == 3, end
    assert desk.outcomes() == {"slow": "pass", "performance": "error"}
    failure = desk.results()["checks"][1]["failure"]
    assert f"{name} changed since the audit described it: expected sha256" in failure["message"]
    assert failure["hint"] == "run the audit again, and let nothing write to its files meanwhile"


@pytest.mark.slow
def test_data_that_changes_between_plan_and_load(desk: Desk) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    pictures = {"images": rng.integers(0, 255, (40, 8, 8), dtype=np.uint8), "labels": np.arange(40) % 10}
    np.savez(desk.root / "few.npz", **pictures)
    data = {"source": "tensors", "path": "few.npz", "inputs": "images", "targets": "labels", "modality": "image"}
    desk.write([SLOW, {**PERFORMANCE, "expect": {"accuracy": "<= 1"}}], data=data)
    process = desk.start(*desk.words())
    heard(process, "slow ...")
    np.savez(desk.root / "few.npz", **{**pictures, "labels": np.arange(40) % 9})
    end = ended(process)
    assert end.code == 3, end
    assert "few.npz changed since the audit described it" in desk.results()["checks"][1]["failure"]["message"]


def test_a_checkpoint_that_changes_between_plan_and_load(desk: Desk) -> None:
    model = {**SHIPPED, "history": {"checkpoints": "assets/digits-shipped/ckpt/step-*.safetensors"}}
    rate = check("rate", "traceability.change_rate", expect={"early_rate_ratio": "<= 400"})
    desk.write([check("slow", with_={"pause": 2}), rate], model=model)
    process = desk.start(*desk.words())
    heard(process, "slow ...")
    path = sorted(desk.root.glob("assets/digits-shipped/ckpt/step-*.safetensors"))[0]
    path.write_bytes(_changed(path))
    end = ended(process)
    assert end.code == 3, end
    assert f"{path.name} changed since the audit described it" in desk.results()["checks"][1]["failure"]["message"]


def test_the_spec_of_the_report_is_the_one_that_was_run(desk: Desk) -> None:
    before = desk.write([check("slow", with_={"pause": 1})]).read_text()
    process = desk.start(*desk.words())
    heard(process, "slow ...")
    desk.write([check("other")])
    assert ended(process).code == 0
    [folder] = desk.folders()
    assert (folder / "spec.yaml").read_text() == before
    assert list(desk.outcomes()) == ["slow"]


def _changed(path: Path) -> bytes:
    """The same file with one more space, or another last byte."""
    content = path.read_bytes()
    if path.suffix == ".json":
        return json.dumps(json.loads(content), indent=7).encode()
    return content[:-1] + bytes([content[-1] ^ 1])
