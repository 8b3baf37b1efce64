"""The workshop: one process's hold on artifacts, made on demand from the store, from live things, or anew."""

import inspect
import os
import traceback
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from auditor.evidence import Failure
from auditor.execute.faults import of_exception
from auditor.execute.store import CorruptError, MissingError, Store
from auditor.needs import Derived, Live, Need, Probe, Tell


def _silent(done: int, total: int, said: str = "") -> None:
    """Progress that nobody watches."""


class FailedNeedError(Exception):
    """A need further up has no result; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Workshop:
    """Makes needs. Live ones stay in memory; stored ones go through the store, so that a broken entry is made again.

    note: told what a reader should know. threads: of torch, once something needs torch.
    """

    def __init__(self, root: Path, store: Store, threads: int, note: Callable[[str], None]) -> None:
        self.root, self.store, self.threads, self.note = root, store, threads, note
        self._alive: dict[str, Any] = {}
        self._is_ready = False

    def make(self, needs: Iterable[Need[Any]], tell: Tell) -> Mapping[str, Failure]:
        """Make the needs of one job and store them; the failures by key. Probes share one sweep."""
        wanted = list(needs)
        probes = [need for need in wanted if isinstance(need, Probe)]
        failures: dict[str, Failure] = {}
        made: dict[str, Any] = {}
        try:
            made.update(self._sweep(probes, tell) if probes else {})
            made.update({need.key: self._compute(need, tell) for need in wanted if not isinstance(need, Probe)})
        except FailedNeedError as error:
            return {need.key: error.failure for need in wanted}
        except Exception as error:  # noqa: BLE001  user code may raise anything; it becomes this job's failure
            return {need.key: self._failure(error) for need in wanted}
        for key, artifact in made.items():
            failure = artifact if isinstance(artifact, Failure) else self._put(key, artifact)
            if failure is not None:
                failures[key] = failure
        return failures

    def get(self, need: Need[Any]) -> Any:
        """The artifact of a need: alive, stored, or made now. Raises whatever making it raises."""
        if not need.stored:
            return self._live(need)
        try:
            return self.store.get(need.key, need.artifact)
        except CorruptError as error:
            self.note(f"{need.title}: {error.message}; computed again")
        except MissingError:
            self.note(f"{need.title}: not in the store any more; computed again")
        return self._again(need)

    def _live(self, need: Need[Any]) -> Any:
        if need.key not in self._alive:
            try:
                self._alive[need.key] = self._compute(need)
            except FailedNeedError as error:
                self._alive[need.key] = error.failure
            except Exception as error:  # noqa: BLE001  what cannot be loaded is not tried again for each job
                self._alive[need.key] = self._failure(error)
        found = self._alive[need.key]
        if isinstance(found, Failure):
            raise FailedNeedError(found)
        return found

    def _again(self, need: Need[Any]) -> Any:
        found = self._sweep([need], _silent)[need.key] if isinstance(need, Probe) else self._compute(need)
        if isinstance(found, Failure):
            raise FailedNeedError(found)
        self.store.put(need.key, found)
        return found

    def _compute(self, need: Need[Any], tell: Tell = _silent) -> Any:
        """Load or build a need; a build() may ask for `progress` and `scratch` (needs.Derived)."""
        upstream = {name: self.get(each) for name, each in need.needs().items()}
        self._prepare(need)
        if isinstance(need, Live):
            return need.load(self.root, **upstream)
        if isinstance(need, Derived):
            offered = {"progress": tell, "scratch": self.store.scratch(need.key)}
            asked = inspect.signature(need.build).parameters
            return need.build(**upstream, **{name: each for name, each in offered.items() if name in asked})
        raise TypeError(f"{type(need).__qualname__} is neither Derived, Live nor a Probe: nothing says how to make it")

    def _sweep(self, probes: list[Probe[Any]], tell: Tell) -> Mapping[str, Any]:
        for probe in probes:
            self._prepare(probe)
        first = probes[0].sweep
        model, batches = self.get(first.model), self.get(first.batches)
        sweep = import_module("auditor.execute.sweep").sweep  # imports torch
        found: Mapping[str, Any] = sweep(probes, model, batches, tell)
        return found

    def _put(self, key: str, artifact: object) -> Failure | None:
        try:
            self.store.put(key, artifact)
        except Exception as error:  # noqa: BLE001  an artifact that cannot be stored is its maker's failure
            return self._failure(error)
        return None

    def _failure(self, error: Exception) -> Failure:
        traceback.print_exception(error)
        return of_exception(error)

    def _prepare(self, need: Need[Any]) -> None:
        """Set torch up, once, before the first need that computes with it."""
        if self._is_ready or not need.tensors:
            return
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        import torch

        torch.set_num_threads(self.threads)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        self._is_ready = True
