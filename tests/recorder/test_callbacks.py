"""Recording with the real trainers of transformers and Lightning, and LoRA."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_transformers as tiny
import torch
from torch import nn

import auditor
from auditor.recorder import lightning_callback, transformers_callback
from auditor.recorder.reading import read


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """Texts with labels, as the Trainer wants them."""

    def __init__(self, n: int = 32) -> None:
        inputs, labels = tiny.texts(n)
        self.rows = [{name: value[row] for name, value in inputs.items()} | {"labels": labels[row]} for row in range(n)]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return self.rows[row]


def trainer(root: Path, model: Any, trace: Path, **more: Any) -> Any:
    from transformers import Trainer, TrainingArguments

    plain: dict[str, Any] = {
        "output_dir": str(root / "out"), "max_steps": 12, "per_device_train_batch_size": 4, "logging_steps": 1,
        "learning_rate": 1e-3, "report_to": [], "use_cpu": True, "disable_tqdm": True, "save_strategy": "no",
        "dataloader_pin_memory": False,
    }  # fmt: skip
    recording = transformers_callback(trace, every=4, dense=2)
    arguments = TrainingArguments(**{**plain, **more})
    return Trainer(model=model, args=arguments, train_dataset=Rows(), eval_dataset=Rows(8), callbacks=[recording])


@pytest.fixture
def quiet() -> Iterator[None]:
    """What the libraries warn of in their own code."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        yield


@pytest.mark.usefixtures("quiet")
def test_transformers(tmp_path: Path) -> None:
    path = tmp_path / "train.trace"
    run = trainer(tmp_path, tiny.bert(), path, eval_strategy="steps", eval_steps=6)
    run.train()
    trace = read(path)
    assert trace.steps.tolist() == [1, 2, 4, 8, 12] and not trace.torn
    logged = [(line["step"], line["loss"]) for line in run.state.log_history if "loss" in line]
    assert trace.loss.steps.tolist() == list(range(1, 13)) == [step for step, _ in logged]
    assert trace.loss.values == pytest.approx([loss for _, loss in logged])
    rates = {line["step"]: line["learning_rate"] for line in run.state.log_history if "loss" in line}
    assert trace.lr[:, 0] == pytest.approx([1e-3 * (13 - step) / 12 for step in trace.steps], rel=1e-6), rates
    assert trace.metrics["eval_loss"].steps.tolist() == [6, 12]
    seen = np.isfinite(trace.gradient)
    assert seen.any(axis=0).sum() >= len(trace.tensors) - 1 and (trace.change[:, trace.trained] > 0).any()
    assert trace.segments[0].optimizer_state is False
