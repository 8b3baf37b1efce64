"""Journal: what happened during a run, passed on to whoever watches and kept for the log."""

import json
from collections.abc import Callable
from typing import Literal

from auditor.execute.protocol import Event, Finished, Output
from auditor.values import Value


class Planned(Value):
    """The first event of a run: how many jobs there are, and how many checks come from the store."""

    kind: Literal["planned"] = "planned"
    jobs: int
    stored: int


OnEvent = Callable[[Event | Planned], None]


class Journal:
    """What happened during a run: passed on to the watcher, and kept for log.jsonl and the report's `run`."""

    def __init__(self, watcher: OnEvent) -> None:
        self._watcher = watcher
        self.events: list[Event | Planned] = []
        self.seconds: dict[str, float] = {}

    def __call__(self, event: Event | Planned) -> None:
        last = self.events[-1] if self.events else None
        if isinstance(event, Output) and isinstance(last, Output) and last.job == event.job:
            self.events[-1] = last.model_copy(update={"text": last.text + event.text})  # it arrives in crumbs
        else:
            self.events.append(event)
        if isinstance(event, Finished):
            self.seconds[event.job] = self.seconds.get(event.job, 0.0) + event.seconds
        self._watcher(event)

    def text(self) -> str:
        """One JSON line an event."""
        return "".join(json.dumps(event.to_json(), ensure_ascii=False) + "\n" for event in self.events)
