"""Recording a run of Lightning's Trainer."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from auditor.recorder.record import Recorder, record


def callback(path: str | Path, **options: Any) -> Any:
    """The callback for a Trainer of `lightning`, or of `pytorch_lightning` where that is what the program uses."""
    old = "pytorch_lightning"
    name = old if old in sys.modules and "lightning.pytorch" not in sys.modules else "lightning.pytorch"
    base = import_module(name).Callback

    class RecordingCallback(Recording, base):  # type: ignore[valid-type, misc]
        pass

    return RecordingCallback(path, options)


class Recording:
    """What happens at the Trainer's events; only its first process records.

    Lightning clears gradients only when the next step begins, so they are read after each batch that made a step; it
    moves the learning rate before that, so the rate is read before the step. With accumulated gradients the loss of a
    step is the mean of its batches'.
    """

    def __init__(self, path: str | Path, options: dict[str, Any]) -> None:
        self.path, self.options = path, options
        self.recorder: Recorder | None = None
        self.losses: list[Any] = []
        self.made = 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin, or go on after the step of the checkpoint that the Trainer resumed from."""
        self._close()
        if len(trainer.optimizers) != 1:
            raise ValueError(
                f"lightning_callback records modules with one optimizer; found {len(trainer.optimizers)}: "
                "use auditor.record in the module itself"
            )
        self.made, self.losses = trainer.global_step, []
        if trainer.is_global_zero:
            self.recorder = record(pl_module, trainer.optimizers[0], self.path, start=self.made, **self.options)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """The learning rates of the step to come."""
        if self.recorder is not None:
            self.recorder.see_rates()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """A batch, and perhaps a step."""
        if self.recorder is None:
            return
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        self.losses += [loss.detach()] if loss is not None else []
        if trainer.global_step > self.made:
            self.made = trainer.global_step
            self.recorder.step(sum(self.losses) / len(self.losses) if self.losses else None)
            self.losses = []

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """The numbers logged until here."""
        if self.recorder is not None and not trainer.sanity_checking:
            self.recorder.note({name: float(value) for name, value in trainer.callback_metrics.items()})

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """The end."""
        self._close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """The end of a run that failed."""
        self._close()

    def _close(self) -> None:
        if self.recorder is not None:
            self.recorder.close()
        self.recorder = None
