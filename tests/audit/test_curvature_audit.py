"""Curvature and landscape through the command line: a tiny fine-tune, a network that reads pictures, and a table."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from desk import Desk, check
from torch import nn

from tests.tiny_transformers import pictures, vit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
DIGITS = {"source": "sklearn", "name": "digits"}
DATA = {
    "train": {**DIGITS, "split": "train", "sample": {"n": 256, "stratify": True}},
    "eval": {**DIGITS, "split": "test", "sample": {"n": 128, "stratify": True}},
}
RECIPE = {"from": "early", "data": "train", "validation": "eval", "optimizer": "adamw", "steps": 12, "batch_size": 32,
          "record_every": 6, "validation_rows": 64, "keep": 3}  # fmt: skip
SMALL = {"rows": 64, "grid": 3, "points": 5}
BENT = {"rows": 64, "top": 2, "layers": ["classifier*"]}


def written(desk: Desk, checks: list[Any], **finetune: Any) -> None:
    models = {"early": {"source": "transformers", "path": "assets/digits-early"},
              "tuned": {"finetune": {**RECIPE, **finetune}}}  # fmt: skip
    desk.write(checks, model=None, models=models, data=DATA, defaults={"model": "tuned", "data": "eval"})


def found(desk: Desk, check_id: str) -> dict[str, Any]:
    """A check of the newest run."""
    (one,) = (each for each in desk.results()["checks"] if each["id"] == check_id)
    return dict(one)


def numbers(one: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in one["measurements"]}


def verdicts(one: dict[str, Any]) -> dict[str, str]:
    return {each["metric"]: each["outcome"] for each in one["verdicts"]}


def test_a_fine_tune_is_judged_on_its_landscape_and_its_curvature(desk: Desk) -> None:
    expect = {"flatness": "<= 0.5", "path_barrier": "<= 0.1", "seed_barrier": "<= 0.1"}
    strict = {"flatness": "<= 0.000001", "path_barrier": ">= 0.5", "seed_barrier": ">= 0.5"}
    written(desk, [
        check("land", "optimizability.landscape", expect=expect, with_=SMALL),
        check("strict", "optimizability.landscape", expect=strict, with_=SMALL),
        check("sharp", "optimizability.sharpness", expect={"top_eigenvalue": "<= 1000", "residual": "<= 0.01"},
              with_=BENT),
        check("dense", "optimizability.spectrum", expect={"trace_relative_se": "<= 0.5"}, with_=BENT),
    ], seeds=5, lr=1e-3)  # fmt: skip
    ended = desk.audit()
    assert ended.code == 1, ended
    land = found(desk, "land")
    assert verdicts(land) == dict.fromkeys(expect, "pass"), land
    assert verdicts(found(desk, "strict")) == dict.fromkeys(strict, "fail")
    named = numbers(land)
    assert (named["flatness"]["n"], named["seed_barrier"]["n"], named["path_barrier"]["n"]) == (10, 5, 5)
    assert [block["title"] for block in land["blocks"]] == [
        "Loss on two random directions", "Loss from step 4 to step 12", "Training path", "Loss between seeds",
    ]  # fmt: skip
    assert verdicts(found(desk, "sharp")) == {"top_eigenvalue": "pass", "residual": "pass"}
    assert verdicts(found(desk, "dense")) == {"trace_relative_se": "pass"}
    first = json.dumps([each["measurements"] for each in desk.results()["checks"]])
    assert desk.audit("--fresh").code == 1  # the same numbers, bit for bit
    assert json.dumps([each["measurements"] for each in desk.results()["checks"]]) == first


def test_what_one_seed_cannot_show_is_not_tested_and_named(desk: Desk) -> None:
    expect = {"flatness": "<= 0.5", "path_barrier": "<= 0.1", "seed_barrier": "<= 0.1"}
    written(desk, [check("land", "optimizability.landscape", expect=expect, with_=SMALL)], seeds=1, lr=1e-3, keep=1)
    assert desk.audit().code == 3
    land = found(desk, "land")
    assert verdicts(land) == {"flatness": "pass", "path_barrier": "inconclusive", "seed_barrier": "inconclusive"}
    reasons = {each["metric"]: each["reason"] for each in land["verdicts"]}
    assert "one step alone" in reasons["path_barrier"] and "trains one seed" in reasons["seed_barrier"]


ASK = [
    check("land", "optimizability.landscape", expect={"flatness": "<= 100"}, with_={"rows": 32, "grid": 0}),
    check("sharp", "optimizability.sharpness", expect={"residual": "<= 0.01"}, with_={"rows": 32, "top": 2}),
    check("dense", "optimizability.spectrum", expect={"trace_relative_se": "<= 1"}, with_={"rows": 32, "top": 2}),
]


def judged(desk: Desk, model: dict[str, Any], data: dict[str, Any], *more: str) -> None:
    """All three checks have evidence and pass."""
    desk.write(ASK, model=model, data=data)
    ended = desk.audit(*more)
    assert ended.code == 0, ended
    assert set(desk.outcomes().values()) == {"pass"}, desk.outcomes()
    for each in desk.results()["checks"]:
        assert all(np.isfinite(one["value"]) for one in each["measurements"]) and each["measurements"]


def test_a_network_of_patches_that_reads_pictures(desk: Desk) -> None:
    tiny = {"num_hidden_layers": 1, "hidden_size": 4, "num_attention_heads": 2, "intermediate_size": 6}
    vit(**tiny).save_pretrained(desk.root / "vit")
    inputs, labels = pictures(32, seed=1)
    np.savez(desk.root / "rows.npz", inputs=inputs.numpy(), labels=labels.numpy())
    transforms = {"channels": 1, "mean": [0.0], "std": [1.0]}
    judged(desk, {"source": "transformers", "path": "vit", "transforms": transforms},
           {"source": "tensors", "path": "rows.npz"})  # fmt: skip


def test_a_regression_of_a_table(desk: Desk) -> None:
    (desk.root / "site").mkdir()
    (desk.root / "site" / "own_net.py").write_text(
        "from torch import nn\n\n\ndef table():\n"
        "    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))\n"
    )
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    torch.save(net.state_dict(), desk.root / "own_net.pt")
    draw = np.random.default_rng(0).normal(size=(48, 3))
    lines = [",".join(f"{value:.4f}" for value in (*row, row.sum())) for row in draw]
    (desk.root / "rows.csv").write_text("a,b,c,price\n" + "\n".join(lines) + "\n")
    judged(desk, {"source": "factory", "factory": "own_net:table", "weights": "own_net.pt", "modality": "tabular",
                  "task": "regression"},
           {"source": "csv", "path": "rows.csv", "features": ["a", "b", "c"], "label": "price"},
           "--trust", "model")  # fmt: skip
    land = found(desk, "land")
    assert numbers(land)["flatness"]["value"] > 0
    assert any("BatchNorm measured" in note for note in land["notes"])
