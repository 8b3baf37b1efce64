"""Histories recorded while a model was trained: a trace of `auditor.record`, or event files of TensorBoard."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.errors import SourceError
from auditor.recorder.format import TraceError
from auditor.recorder.reading import read
from auditor.recorder.tensorboard import EventError, Events, read_events
from auditor.sources.digest import file_ref
from auditor.sources.models.tensors import names_in, own_shapes
from auditor.sources.paths import Where, below, dotted, named
from auditor.subject import History, Holding, ModelRef

if TYPE_CHECKING:
    from auditor.recorder.trace import Trace

BESIDE = ("lora_", "adapter", "modules_to_save")
"""Words in the names of tensors that are trained beside a model's own and may be merged into them."""


def with_trace(ref: ModelRef, name: str, root: Path) -> ModelRef:
    """With the trace in a file. SourceError when it is none, or one of another model."""
    where: Where = ("models", ref.name, "history", "trace")
    trace = open_trace(named(root, name, where), where)
    if not len(trace.steps):
        raise SourceError(
            f"{dotted(where)}: {name} holds no record: its run ended before the first one",
            hint="train further, or record more often: record(..., every=1)",
            where=where,
        )
    trace_names(trace, ref, root, where)
    kept = [(shot.step, file_ref(shot.path, _beside(name, shot.path))) for shot in trace.snapshots]
    history = History(
        source="trace", holds=held(trace), steps=tuple(step for step, _ in kept), files=tuple(file for _, file in kept),
        record=(file_ref(named(root, name, where), name),),
        remarks=(TORN,) if trace.torn else (),
    )  # fmt: skip
    return ref.model_copy(update={"history": history})


TORN = "The trace ends amid a record, as of a run that was killed; it is read up to its last whole one."


def _beside(name: str, path: Path) -> str:
    """The name of a snapshot, which lies in the folder beside the trace."""
    return str(Path(name).parent / path.parent.name / path.name)


def open_trace(path: Path, where: Where) -> "Trace":
    """The trace in a file; SourceError when it is none."""
    try:
        return read(path)
    except (TraceError, OSError) as error:
        raise SourceError(
            f"{dotted(where)}: {error}", hint="name the file that auditor.record wrote", where=where
        ) from error


def held(trace: "Trace") -> frozenset[Holding]:
    """What a trace holds."""
    import numpy as np

    from auditor.recorder.words import VALIDATION, series_of

    named = {series_of(name) for name in trace.metrics}
    holds: dict[Holding, bool] = {
        "changes": len(trace.steps) > 0,
        "weights": len(trace.snapshots) >= 2,
        "losses": len(trace.loss.steps) > 0,
        "gradients": bool(np.isfinite(trace.gradient).any()),
        "learning_rates": bool(np.isfinite(trace.lr).any()),
        "validation": VALIDATION in named,
    }
    return frozenset(name for name, there in holds.items() if there)


def trace_names(trace: "Trace", ref: ModelRef, root: Path, where: Where) -> dict[str, str]:
    """The model's name of each tensor of the trace. SourceError that lists both sides if they are not the model's.

    Tensors of adapters may be beside the model's own, and the model may hold more or fewer where weights are tied; but
    one of another size, or strangers on both sides, say that it is the trace of another model.
    """
    own = {name: shape.count for name, shape in own_shapes(ref, root).items() if shape.floating}
    plain = {name: name.replace(".base_layer.", ".") for name in trace.tensors}
    brought = names_in(plain.values(), own)
    names = {name: brought[short] for name, short in plain.items()}
    sizes = {names[name]: int(size) for name, size in zip(trace.tensors, trace.sizes, strict=True)}
    if not own:
        return names
    other = [f"{name} {size} instead of {own[name]}" for name, size in sizes.items() if own.get(name, size) != size]
    strange = [name for name in sizes if name not in own and not any(word in name for word in BESIDE)]
    _require_same(other, strange, _unfollowed(own, sizes), ref, where)
    return names


def _unfollowed(own: Collection[str], sizes: Collection[str]) -> list[str]:
    return [name for name in own if name not in sizes and not name.endswith(("running_mean", "running_var"))]


def _require_same(other: list[str], strange: list[str], missing: list[str], ref: ModelRef, where: Where) -> None:
    if not other and not (strange and missing):
        return
    parts = {"of another size": other, "only in the trace": strange, f"only in {ref.name}": missing}
    listed = "; ".join(
        f"{what}: {', '.join(sorted(found)[:4])} ({len(found)})" for what, found in parts.items() if found
    )
    raise SourceError(
        f"{dotted(where)}: the trace is of another model than {ref.name}: {listed}",
        hint="name the trace of the run that made these weights",
        where=where,
    )


def with_events(ref: ModelRef, name: str, root: Path) -> ModelRef:
    """With the event files of TensorBoard in a folder, or one of them. SourceError when there is nothing in them."""
    where: Where = ("models", ref.name, "history", "tensorboard")
    files = _event_files(root, name, where)
    events = open_events(files, where)
    history = History(
        source="tensorboard", holds=events_hold(events), remarks=events.remarks,
        record=tuple(file_ref(path, listed) for listed, path in files.items()),
    )  # fmt: skip
    return ref.model_copy(update={"history": history})


def _event_files(root: Path, name: str, where: Where) -> dict[str, Path]:
    """The event files by their names in the spec."""
    place = named(root, name, where, "any")
    if place.is_file():
        return {name: place}
    found = sorted(path for path in place.rglob("*tfevents*") if path.is_file())
    if not found:
        raise SourceError(
            f"{dotted(where)}: no event files below {name}: none of its files is called events.out.tfevents...",
            hint="name the folder that SummaryWriter or the trainer wrote to (its log_dir)",
            where=where,
        )
    for path in found:
        below(root, place, path, where)
    return {f"{name}/{path.relative_to(place).as_posix()}": path for path in found}


def open_events(files: Mapping[str, Path], where: Where) -> Events:
    """What event files hold. SourceError for broken ones, and for files without numbers."""
    folders = [Path(name).parent for name in files]
    common = next(iter(folders)) if len(set(folders)) == 1 else Path(*_shared(folders))
    runs = {path: Path(name).parent.relative_to(common).as_posix() for name, path in files.items()}
    try:
        events = read_events({path: "" if run == "." else run for path, run in runs.items()})
    except (EventError, ImportError, OSError) as error:
        raise SourceError(f"{dotted(where)}: {error}", where=where) from error
    if not events.scalars and not events.norms:
        raise SourceError(
            f"{dotted(where)}: the event files hold neither scalars nor histograms",
            hint="write them with add_scalar() and add_histogram()",
            where=where,
        )
    return events


def _shared(folders: Collection[Path]) -> tuple[str, ...]:
    parts = [folder.parts for folder in folders]
    count = next((n for n in range(min(map(len, parts)), -1, -1) if len({each[:n] for each in parts}) == 1), 0)
    return parts[0][:count]


def events_hold(events: Events) -> frozenset[Holding]:
    """What event files hold; never changes of the weights."""
    from auditor.recorder.words import LOSS, LR, VALIDATION, series_of

    words: dict[str, Holding] = {LOSS: "losses", LR: "learning_rates", VALIDATION: "validation"}
    found = {series_of(tag) for tag in events.scalars}
    return frozenset(holding for word, holding in words.items() if word in found)
