"""The history of a model: checkpoints on disk, ordered by the step in their names, or the record of its training."""

import re
from collections.abc import Mapping
from glob import glob
from pathlib import Path

from auditor.errors import SourceError
from auditor.sources.digest import file_ref, seal_model
from auditor.sources.models.folder import read_json, require_own
from auditor.sources.models.recorded import with_events, with_trace
from auditor.sources.models.state import describe_state
from auditor.sources.models.transformers import INDEX, WEIGHTS, shards_of
from auditor.sources.paths import Where, dotted, named
from auditor.spec.model import ModelEntry
from auditor.spec.references import expand
from auditor.subject import FileRef, History, ModelRef, Trust

ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin")
WHOLE = (WEIGHTS, INDEX, "pytorch_model.bin", "pytorch_model.bin.index.json")
KINDS = {
    ("file", "data"): "safetensors files",
    ("file", "restricted"): "state dicts of torch.save",
    ("folder", "data"): "folders of safetensors",
    ("folder", "restricted"): "folders of pytorch_model.bin",
    ("adapter", "data"): "folders of adapters",
    ("adapter", "restricted"): "folders of adapters of torch.save",
}
"""How checkpoints lie on disk; the checkpoints of one history lie in one way."""


def with_history(ref: ModelRef, entry: ModelEntry, root: Path) -> ModelRef:
    """The model with the history that the entry names, its digest sealed anew."""
    if entry.trace:
        return seal_model(with_trace(ref, entry.trace, root))
    if entry.tensorboard:
        return seal_model(with_events(ref, entry.tensorboard, root))
    return seal_model(_with_checkpoints(ref, entry.checkpoints, root))


def _with_checkpoints(ref: ModelRef, pattern: str, root: Path) -> ModelRef:
    """With the files or folders that a glob names. The step of one is the last number in its name or
    its folder's.

    A checkpoint is a safetensors file, a state dict of torch.save, or a folder as transformers or peft write it.
    SourceError when nothing matches, a name has no number, two have the same, or they lie in different ways.
    """
    where: Where = ("models", ref.name, "history", "checkpoints")
    names = sorted(glob(expand(pattern), root_dir=root.resolve(), recursive=True))  # noqa: PTH207 - it may be absolute
    if len(names) < 2:
        raise SourceError(
            f"{dotted(where)}: expected at least 2 checkpoints, found {len(names)} that match {pattern!r}",
            hint="the pattern is relative to the spec, e.g. checkpoints/step-*.safetensors",
            where=where,
        )
    by_step: dict[int, str] = {}
    for name in names:
        step = _step(name, where)
        if step in by_step:
            raise SourceError(f"{dotted(where)}: {by_step[step]} and {name} both say step {step}", where=where)
        by_step[step] = name
    steps = tuple(sorted(by_step))
    found = {step: _files(root, by_step[step], where) for step in steps}
    kind, trust = _one_kind({by_step[step]: kind for step, (kind, _) in found.items()}, where)
    files = {step: tuple(file_ref(path, name) for name, path in listed.items()) for step, (_, listed) in found.items()}
    history = _history(files, adapters=kind == "adapter")
    return ref.model_copy(update={"history": history, "trust": trust if ref.trust == "data" else ref.trust})


def _history(files: Mapping[int, tuple[FileRef, ...]], adapters: bool) -> History:
    counts = tuple(len(each) for each in files.values())
    return History(
        source="checkpoints",
        holds=frozenset({"changes"} if adapters else {"weights", "changes"}),
        steps=tuple(files),
        files=tuple(file for each in files.values() for file in each),
        shards=counts if set(counts) != {1} else (),
        adapters=adapters,
    )


def _one_kind(kinds: Mapping[str, tuple[str, Trust]], where: Where) -> tuple[str, Trust]:
    first, *others = kinds.items()
    for name, kind in others:
        if kind != first[1]:
            raise SourceError(
                f"{dotted(where)}: expected checkpoints of one kind, found {first[0]} among {KINDS[first[1]]} and "
                f"{name} among {KINDS[kind]}",
                hint="narrow the pattern to one kind of them",
                where=where,
            )
    return first[1]


def _files(root: Path, name: str, where: Where) -> tuple[tuple[str, Trust], dict[str, Path]]:
    """The kind of a checkpoint, and its files by their names in the spec, each of them a sound one."""
    path = named(root, name, where, "any")
    kind, listed = ("file", {name: path}) if path.is_file() else _in_folder(root, path, name, where)
    trusts = {describe_state(file, where).trust for file in listed.values()}
    return (kind, "restricted" if "restricted" in trusts else "data"), listed


def _in_folder(root: Path, folder: Path, name: str, where: Where) -> tuple[str, dict[str, Path]]:
    require_own(root, folder, (*WHOLE, *ADAPTERS), where)
    whole = next((each for each in WHOLE if (folder / each).exists()), "")
    adapter = next((each for each in ADAPTERS if (folder / each).exists()), "")
    if not whole and not adapter:
        raise SourceError(
            f"{dotted(where)}: the folder {name} holds no weights: none of {', '.join((*WHOLE, *ADAPTERS))}",
            hint="narrow the pattern to the folders of checkpoints, e.g. out/checkpoint-*",
            where=where,
        )
    parts = [whole or adapter]
    if whole.endswith(".json"):
        parts = shards_of(read_json(folder / whole, where), whole, where)
        require_own(root, folder, parts, where)
    if missing := [part for part in parts if not (folder / part).exists()]:
        raise SourceError(f"{dotted(where)}: {name}/{whole} names {missing[0]}, which is not there", where=where)
    return "folder" if whole else "adapter", {f"{name}/{part}": folder / part for part in parts}


def _step(name: str, where: Where) -> int:
    path = Path(name)
    for part in (path.stem, path.parent.name):
        numbers = re.findall(r"\d+", part)
        if numbers:
            return int(numbers[-1])
    raise SourceError(
        f"{dotted(where)}: no step number in the name {name}",
        hint="name checkpoints by their step, e.g. step-00100.safetensors",
        where=where,
    )
