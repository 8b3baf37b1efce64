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


@pytest.mark.usefixtures("quiet")
def test_transformers_resumes_with_its_optimizer(tmp_path: Path) -> None:
    path = tmp_path / "train.trace"
    trainer(tmp_path, tiny.bert(), path, save_strategy="steps", save_steps=6, max_steps=8).train()
    trainer(tmp_path, tiny.bert(), path).train(resume_from_checkpoint=str(tmp_path / "out/checkpoint-6"))
    trace = read(path)
    assert [segment.start for segment in trace.segments] == [0, 6]
    assert [segment.optimizer_state for segment in trace.segments] == [False, True]
    assert trace.segments[1].abandoned == 1 and trace.steps.tolist() == [1, 2, 4, 7, 8, 12]
    assert trace.loss.steps.tolist() == list(range(1, 13))


@pytest.mark.usefixtures("quiet")
def test_lora_follows_adapters_and_the_frozen_base(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(tiny.bert(), LoraConfig(r=2, target_modules=["query", "value"], modules_to_save=[]))
    path = tmp_path / "lora.trace"
    trainer(tmp_path, model, path).train()
    trace = read(path)
    adapters = np.array(["lora_" in name for name in trace.tensors])
    assert adapters.sum() == 8 and (trace.trained == adapters).all()
    assert (trace.change[:, ~adapters] == 0).all() and (trace.elementwise[:, ~adapters] == 0).all()
    assert np.isnan(trace.gradient[:, ~adapters]).all() and np.isfinite(trace.gradient[:, adapters]).all()
    second = np.array(["lora_B" in name for name in trace.tensors])
    assert (trace.norm[0, second] == 0).all() and (trace.change[0, second] > 0).all()
    assert np.isnan(trace.tensor_lr[:, ~adapters]).all() and np.isfinite(trace.tensor_lr[:, adapters]).all()


def lightning_module(lr: float = 1e-2) -> Any:
    import lightning

    class Small(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            loss: torch.Tensor = self.net(batch[0]).square().mean()
            return loss

        def validation_step(self, batch: Any, index: int) -> None:
            self.log("val_loss", self.net(batch[0]).square().mean())

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.SGD(self.parameters(), lr=lr)
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    return Small()


def fitted(module: Any, path: Path, **more: Any) -> Any:
    import lightning

    rows = torch.utils.data.TensorDataset(torch.randn(32, 5, generator=torch.Generator().manual_seed(0)))
    load = torch.utils.data.DataLoader(rows, batch_size=4)
    plain: dict[str, Any] = {
        "logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False,
        "accelerator": "cpu", "max_steps": 12, "callbacks": [lightning_callback(path, every=4, dense=2)],
    }  # fmt: skip
    run = lightning.Trainer(**{**plain, **more})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        run.fit(module, load, load)
    return run


def test_lightning(tmp_path: Path) -> None:
    path = tmp_path / "train.trace"
    fitted(lightning_module(), path)
    trace = read(path)
    assert trace.steps.tolist() == [1, 2, 4, 8, 12] and trace.loss.steps.tolist() == list(range(1, 13))
    assert trace.lr[:, 0] == pytest.approx([1e-2 / step for step in trace.steps])  # of the step, not of the next
    assert trace.lr_mean[2, 0] == pytest.approx(1e-2 * (1 / 3 + 1 / 4) / 2)
    assert trace.change[0] == pytest.approx(trace.lr[0, 0] * trace.gradient[0], rel=1e-4)  # SGD moves by lr x gradient
    assert trace.metrics["val_loss"].steps.tolist() == [8]


def test_lightning_with_accumulated_gradients(tmp_path: Path) -> None:
    path = tmp_path / "train.trace"
    fitted(lightning_module(), path, accumulate_grad_batches=2, max_steps=6)
    trace = read(path)
    assert trace.steps.tolist() == [1, 2, 4, 6] and trace.loss.steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert trace.change[0] == pytest.approx(trace.lr[0, 0] * trace.gradient[0], rel=1e-4)


def test_lightning_that_fails_leaves_a_whole_trace(tmp_path: Path) -> None:
    module, path = lightning_module(), tmp_path / "train.trace"
    step = module.training_step
    module.training_step = lambda batch, batch_idx: step(batch, batch_idx) if batch_idx < 3 else 1 / 0
    with pytest.raises(ZeroDivisionError):
        fitted(module, path)
    assert read(path).steps.tolist() == [1, 2, 3] and not read(path).torn


def test_a_module_with_two_optimizers_is_told_what_to_do(tmp_path: Path) -> None:
    module = lightning_module()
    module.automatic_optimization = False
    module.configure_optimizers = lambda: [torch.optim.SGD(module.parameters(), lr=1e-2) for _ in range(2)]
    with pytest.raises(ValueError, match=r"one optimizer; found 2: use auditor\.record"):
        fitted(module, tmp_path / "train.trace")


def test_importing_the_recorder_imports_no_framework() -> None:
    import subprocess
    import sys

    program = (
        "import sys, auditor, auditor.recorder.reading, auditor.recorder.record, auditor.recorder.trace;"
        "print({'torch', 'numpy', 'transformers', 'lightning', 'safetensors', 'pydantic'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "set()"
    assert auditor.record.__doc__
