"""One pass over the data for all probes: the union of their taps, a backward only where some probe wants one."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch

from auditor.errors import AuditorError, NotApplicable
from auditor.evidence import Failure
from auditor.methods.passes import Pass, Wants, check_layer, run_pass, target_indices
from auditor.methods.units import units_of
from auditor.needs import Collector, Probe, Step, Tap, Target

Progress = Callable[[int, int], None]
"""Called with (batches done, batches in all) after each batch."""


def sweep(
    probes: Sequence[Probe[Any]], model: Any, batches: Any, progress: Progress | None = None
) -> dict[str, Any | Failure]:
    """The artifact of each probe, or the Failure that kept it from one, by the probe's key.

    probes: all on one sweep (same model, batches and target). model: a LoadedModel. batches: a BatchLoader.
    A forward runs on the batches that some probe wants, a backward only on those where some probe wants a gradient.
    A batch is never cut before it runs, so what else is asked cannot change a number; each collector then sees the
    rows it asked for. A collector that raises fails its own probe only. When memory runs out the batch is halved,
    and every later Step says so. Logits that are not finite fail the probes that would have used them, but for those
    that ask for them.
    """
    run = _Run(model, batches, probes[0].sweep.target, [_enlist(probe, model.module) for probe in probes])
    total = max((probe.sweep.batch_count(probe.rows) for probe in probes), default=0)
    try:
        for done, batch in enumerate(_while(batches, run.wanted), 1):
            run.batch(batch)
            if progress is not None:
                progress(done, total)
    except Exception as error:  # noqa: BLE001  # a model or a data set of the user's: its fault becomes a value
        run.fail(run.places, error)
    return {place.probe.key: place.finish() for place in run.places}


@dataclass
class _Place:
    """A probe in the sweep, with its collector or what failed it."""

    probe: Probe[Any]
    collector: Collector[Any] | None = None
    failure: Failure | None = None
    seen: int = 0

    def open(self, start: int) -> bool:
        """Whether it wants the row `start`."""
        return self.failure is None and (self.probe.rows is None or start < self.probe.rows)

    def see(self, step: Step) -> None:
        """Give its collector one batch."""
        if self.collector is not None:
            self.collector.see(step)
            self.seen += len(step.examples)

    def finish(self) -> Any | Failure:
        """Its artifact, or its failure."""
        if self.failure is not None or self.collector is None:
            return self.failure
        if not self.seen:
            return Failure(kind="exception", message="the data set has no rows to sweep over")
        try:
            return self.collector.result()
        except Exception as error:  # noqa: BLE001  # a collector's fault is its own probe's failure
            return _failure(error)


@dataclass
class _Run:
    """The state of one sweep: its places, the next row, and the batch size that memory allows."""

    model: Any
    loader: Any
    target: Target
    places: list[_Place]
    row: int = 0
    largest: int | None = None
    halved: int = 0

    def wanted(self) -> list[_Place]:
        """The places that want the next row."""
        return [place for place in self.places if place.open(self.row)]

    def fail(self, places: Iterable[_Place], error: BaseException) -> None:
        """Fail places that have not failed before."""
        for place in places:
            place.failure = place.failure or _failure(error)

    def batch(self, batch: Any) -> None:
        """Run one batch, in parts where memory allows no more."""
        size, done = len(batch.examples), 0
        while done < size:
            stop = min(size, done + (self.largest or size))
            part = batch if (done, stop) == (0, size) else cut(batch, done, stop, size)
            found = self.attempt(part, stop - done)
            if found is not None:
                self.share(found, part, stop - done)
                self.row += stop - done
                done = stop

    def attempt(self, batch: Any, size: int) -> Pass | None:
        """The pass of a batch; None if memory ran out, and the batch size is halved."""
        places = self.wanted()
        wants = _wants(tap for place in places for tap in place.probe.taps)
        try:
            return self.forward(batch, wants)
        except Exception as error:
            if _out_of_memory(error):
                if size == 1:
                    raise
                self.largest, self.halved = (size + 1) // 2, self.halved + 1
                return None
            if wants == Wants():
                raise
            self.fail((place for place in places if place.probe.taps), error)
        return self.attempt(batch, size)

    def forward(self, batch: Any, wants: Wants) -> Pass:
        """One forward, and a backward if something wants it."""
        leaf, inputs = self.model.gradient_inputs(batch.inputs) if wants.input_gradient else (None, batch.inputs)

        def choose(logits: torch.Tensor) -> torch.Tensor:
            return target_indices(logits, batch.labels, self.target.name)

        try:
            return run_pass(self.model.module, self.model.logits, inputs, choose, wants, leaf)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            if _out_of_memory(error) or isinstance(error, AuditorError):
                raise
            raise AuditorError(
                f"{type(error).__name__}: {error}",
                f"It came while the model ran on inputs of shape {_shape(batch.inputs)}. If it takes others (channels, "
                "size, columns, tokens), change the data, or the model's `transforms:` or `max_length:`.",
            ) from error

    def share(self, found: Pass, batch: Any, size: int) -> None:
        """Show the pass to each place, cut to the rows that it asked for."""
        finite = torch.isfinite(found.logits).all(dim=1).cpu()
        for place in self.wanted():
            rows = size if place.probe.rows is None else min(size, place.probe.rows - self.row)
            try:
                if place.probe.finite:
                    _require_finite(finite[:rows], self.row)
                place.see(self.step(found, batch, rows, size, place.probe.taps))
            except Exception as error:  # noqa: BLE001  # a collector's fault is its own probe's failure
                self.fail([place], error)

    def step(self, found: Pass, batch: Any, rows: int, size: int, taps: frozenset[Tap]) -> Step:
        """What a collector sees of the first `rows` rows of a batch."""
        for tap in sorted(taps):
            if tap.kind != "units" and tap.layer in found.missing:
                raise NotApplicable(found.missing[tap.layer])
        own = batch if rows == size else cut(batch, 0, rows, size)
        return Step(
            start=self.row,
            inputs=own.inputs,
            logits=found.logits[:rows],
            targets=found.targets[:rows],
            labels=own.labels,
            examples=tuple(own.examples),
            taps={tap: cut(_tapped(found, tap), 0, rows, size) for tap in taps},
            layers={tap: found.layers[tap.layer] for tap in taps if tap.layer and tap.kind != "units"},
            batch=own,
            halved=self.halved,
            loader=self.loader,
        )


def cut(value: Any, start: int, stop: int, size: int) -> Any:
    """Rows start to stop of everything in a batch that has `size` rows: tensors, arrays, sequences, dictionaries."""
    if isinstance(value, Mapping):
        return {name: cut(item, start, stop, size) for name, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        changed = {item.name: cut(getattr(value, item.name), start, stop, size) for item in fields(value)}
        return replace(value, **changed)
    if not isinstance(value, str) and hasattr(value, "__len__") and len(value) == size:
        return value[start:stop]
    return value


def _enlist(probe: Probe[Any], module: torch.nn.Module) -> _Place:
    try:
        for tap in probe.taps:
            if tap.kind == "units":
                units_of(module, tap.layer)
            elif tap.layer:
                check_layer(module, tap.layer)
        return _Place(probe, probe.collect())
    except Exception as error:  # noqa: BLE001  # a probe that cannot start fails alone
        return _Place(probe, failure=_failure(error))


def _while(batches: Iterable[Any], wanted: Callable[[], Any]) -> Iterator[Any]:
    """The batches, as long as some row is wanted; a batch that nobody wants is not even read."""
    each = iter(batches)
    while wanted():
        batch = next(each, None)
        if batch is None:
            return
        yield batch


def _wants(taps: Iterable[Tap]) -> Wants:
    every = frozenset(taps)
    return Wants(
        activations=frozenset(tap.layer for tap in every if tap.kind == "activation"),
        gradients=frozenset(tap.layer for tap in every if tap.kind == "activation_gradient"),
        input_gradient=any(tap.kind in ("input", "input_gradient") for tap in every),
        units=frozenset(tap.layer for tap in every if tap.kind == "units"),
    )


def _tapped(found: Pass, tap: Tap) -> Any:
    if tap.kind == "input_gradient":
        return found.input_gradient
    if tap.kind == "input":
        return found.leaf
    if tap.kind == "units":
        return found.units[tap.layer]
    return (found.activations if tap.kind == "activation" else found.gradients)[tap.layer]


def _shape(inputs: Any) -> str:
    named = inputs.items() if isinstance(inputs, Mapping) else [("", inputs)]
    return ", ".join(f"{name} {' x '.join(map(str, getattr(tensor, 'shape', ())))}".strip() for name, tensor in named)


def _require_finite(finite: torch.Tensor, start: int) -> None:
    bad = (~finite).nonzero()
    if len(bad):
        raise AuditorError(
            f"the model's logits are not finite (NaN or infinite) on {len(bad)} of {len(finite)} examples, "
            f"the first in row {start + int(bad[0])}",
            "Check the weights and the preprocessing; nothing can be measured from such logits.",
        )


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in str(error)


def _failure(error: BaseException) -> Failure:
    if isinstance(error, NotApplicable):
        return Failure(kind="not_applicable", message=str(error))
    if isinstance(error, AuditorError):
        return Failure(kind="exception", message=error.message, hint=error.hint)
    if isinstance(error, Exception) and _out_of_memory(error):
        hint = "Even one example does not fit in memory: use a smaller model or input, or another device."
        return Failure(kind="oom", message=str(error), hint=hint)
    return Failure(kind="exception", message=f"{type(error).__name__}: {error}")
