"""The history of a model from its checkpoints on disk, ordered by the step in their names."""

import re
from glob import glob
from pathlib import Path

from auditor.errors import SourceError
from auditor.sources.digest import file_ref, seal_model
from auditor.sources.models.header import read_header
from auditor.sources.paths import Where, dotted, named
from auditor.spec.model import ModelEntry
from auditor.spec.references import expand
from auditor.subject import FileRef, History, ModelRef


def with_checkpoints(ref: ModelRef, entry: ModelEntry, root: Path) -> ModelRef:
    """The model with the history of the safetensors files that `entry.checkpoints` (a glob) names.

    The step of a file is the last number in its name, else in its folder's. Raises SourceError when nothing matches,
    a name has no number, or two have the same.
    """
    where: Where = ("models", entry.name, "history", "checkpoints")
    pattern = expand(entry.checkpoints)
    names = sorted(glob(pattern, root_dir=root.resolve(), recursive=True))  # noqa: PTH207 - it may be absolute
    if len(names) < 2:
        raise SourceError(
            f"{dotted(where)}: expected at least 2 checkpoints, found {len(names)} that match {entry.checkpoints!r}",
            hint="the pattern is relative to the spec, e.g. checkpoints/step-*.safetensors",
            where=where,
        )
    by_step: dict[int, FileRef] = {}
    for name in names:
        path = named(root, name, where)
        step = _step(name, where)
        if step in by_step:
            raise SourceError(f"{dotted(where)}: {by_step[step].path} and {name} both say step {step}", where=where)
        read_header(path, where)
        by_step[step] = file_ref(path, name)
    steps = tuple(sorted(by_step))
    history = History(
        source="checkpoints",
        holds=frozenset({"weights", "changes"}),
        steps=steps,
        files=tuple(by_step[step] for step in steps),
    )
    return seal_model(ref.model_copy(update={"history": history}))


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
