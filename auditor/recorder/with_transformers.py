"""Recording a run of transformers' Trainer."""

from pathlib import Path
from typing import Any

from auditor.recorder.record import Recorder, record


def callback(path: str | Path, **options: Any) -> Any:
    """The callback for a Trainer."""
    from transformers import TrainerCallback

    class RecordingCallback(Recording, TrainerCallback):
        pass

    return RecordingCallback(path, options)


class Recording:
    """What happens at the Trainer's events; only its first process records.

    The Trainer calls on_optimizer_step after the step and before it moves the learning rate and clears the gradients,
    and on_log after that, with the mean loss since the last log.
    """

    def __init__(self, path: str | Path, options: dict[str, Any]) -> None:
        self.path, self.options = path, options
        self.recorder: Recorder | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kept: Any) -> None:
        """Begin, or go on after the step of the checkpoint that the Trainer resumed from."""
        self._close()
        if state.is_world_process_zero:
            model, optimizer = kept["model"], kept["optimizer"]
            self.recorder = record(model, optimizer, self.path, start=state.global_step, **self.options)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kept: Any) -> None:
        """One step, with its gradients still there."""
        if self.recorder is not None:
            self.recorder.step()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kept: Any) -> None:
        """The loss."""
        if self.recorder is not None and "loss" in (logs or {}):
            self.recorder.note({}, loss=float(logs["loss"]))

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kept: Any) -> None:
        """The numbers of an evaluation."""
        if self.recorder is not None:
            found = (metrics or {}).items()
            self.recorder.note({name: value for name, value in found if isinstance(value, int | float)})

    def on_train_end(self, args: Any, state: Any, control: Any, **kept: Any) -> None:
        """The end."""
        self._close()

    def _close(self) -> None:
        if self.recorder is not None:
            self.recorder.close()
        self.recorder = None
