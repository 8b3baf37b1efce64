"""The same audit on an accelerator and on the processor: equal counts, and numbers that agree within rounding."""

from collections.abc import Mapping
from typing import Any

import pytest
from desk import SHIPPED, Desk, check

pytestmark = pytest.mark.timeout(400)
DIGITS = {"source": "sklearn", "name": "digits"}
TUNED = {
    "finetune": {
        "from": "early", "data": "train", "validation": "eval", "optimizer": "adamw", "lr": 4e-3, "steps": 12,
        "batch_size": 32, "seeds": 1, "record_every": 4, "validation_rows": 64,
    }
}  # fmt: skip
CHECKS = [
    check("performance", "task.performance", expect={}),
    check("saliency", "interpretability.saliency", expect={}, with_={"rows": 32}),
    check("grad-cam", "interpretability.grad_cam", expect={}, with_={"rows": 32}),
    check("rate", "traceability.change_rate", model="tuned", data="eval", expect={}),
    check("convergence", "optimizability.convergence", model="tuned", data="eval", expect={}, with_={"target": 0.5}),
    check("tuned", "task.performance", model="tuned", expect={}),
]


def measured(desk: Desk, device: str) -> Mapping[tuple[str, str, str], float]:
    """Every number of the audit on that device."""
    early = {"source": "transformers", "path": "assets/digits-early"}
    desk.write(
        CHECKS, model=None, models={"shipped": SHIPPED, "early": early, "tuned": TUNED},
        data={"train": {**DIGITS, "split": "train"}, "eval": {**DIGITS, "split": "test", "sample": {"n": 200}}},
        defaults={"model": "shipped", "data": "eval"}, run={"device": device, "threads": 1},
    )  # fmt: skip
    end = desk.audit()
    assert set(desk.outcomes().values()) == {"info"}, (end, desk.outcomes())
    return {(c["id"], m["name"], m["of"]): m["value"] for c in desk.results()["checks"] for m in c["measurements"]}


@pytest.mark.gpu
def test_numbers_agree_with_those_of_the_processor(desk: Desk) -> None:
    torch: Any = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no accelerator here")
    here, there = measured(desk, "cpu"), measured(desk, "cuda")
    assert here.keys() == there.keys()
    for key, value in here.items():
        tolerance = 5e-2 if key[0] in {"rate", "convergence", "tuned"} else 1e-3  # training amplifies rounding
        assert there[key] == pytest.approx(value, rel=tolerance, abs=tolerance), key


def test_an_accelerator_that_torch_cannot_reach_is_refused_at_its_place(desk: Desk) -> None:
    stub = desk.root / "site" / "torch"
    stub.mkdir(parents=True)
    (stub / "__init__.py").touch()
    (stub / "version.py").write_text("cuda = None\nhip = None\n")
    desk.write([check("a")], run={"device": "cuda"})
    end = desk.audit()
    assert end.code == 2, end
    assert "audit.yaml:1:" in end.err
    assert "expected a torch that was built for cuda" in end.err
