"""The bench: fake checks run in one folder, by real workers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fakes

from auditor.evidence import Evidence, Failure
from auditor.execute.local import Local
from auditor.execute.protocol import Event
from auditor.execute.store import Store
from auditor.plan.build import Plan, build
from auditor.registry import Registry
from auditor.spec.model import CheckEntry


@dataclass
class Bench:
    """Runs fake checks in a folder, with real workers."""

    root: Path
    events: list[Event] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return Store(self.root / "cache")

    def plan(self, *checks: CheckEntry, **run: Any) -> Plan:
        spec = fakes.spec_of(*checks, **run)
        return build(spec, fakes.subjects_of(spec), Registry(fakes.PLUGINS), self.store)

    def run(self, *checks: CheckEntry, workers: int = 1, on_event: Callable[[Event], None] | None = None, **run: Any):
        """Evidence or Failure of each check."""
        self.root.mkdir(exist_ok=True)
        spec = fakes.spec_of(*checks, **run)
        plan = self.plan(*checks, **run)
        local = Local(self.root, self.root / "cache", workers)
        failures = local.run(plan, spec, fakes.subjects_of(spec), on_event or self.events.append, fakes.PLUGINS)
        return {check_id: self._finding(key, failures) for check_id, key in plan.measures.items()}

    def _finding(self, key: str, failures: dict[str, Failure]) -> Evidence | Failure:
        return failures[key] if key in failures else self.store.get(key, Evidence)
