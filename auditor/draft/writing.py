"""Writing: the commented spec of a model and data that were looked at."""

import json
import re
from collections.abc import Iterable, Iterator
from importlib.resources import files
from os.path import relpath
from pathlib import Path
from shlex import quote
from typing import Any

from auditor.draft.blanks import data_blank, model_blank
from auditor.draft.classes import Meeting, meet
from auditor.draft.columns import Columns
from auditor.draft.guessing import data_entry, model_entry
from auditor.errors import SourceError, UsageError
from auditor.sources import data as data_sources
from auditor.sources import models as model_sources
from auditor.spec.paths import Roots, root_of
from auditor.spec.policy import user_policy
from auditor.subject import DataRef, Modality, ModelRef

PRESETS = {"image": "vision-classifier", "text": "text-classifier", "tabular": "tabular-classifier"}
PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./-]*")
WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", ".", ".."}


def draft(model: Path | None, data: Path | None, out: Path) -> str:
    """The text of a spec at `out` for a model and data, described from their files alone.

    What is None is left to be filled in. Raises SourceError when a file is missing or is nothing that a spec can name.
    """
    folder = out.resolve().parent
    root = _root(folder, *_given(model, data))
    entry = model_entry(model, lambda path: relpath(path.resolve(), root)) if model else None
    described = model_sources.describe(entry, root) if entry else None
    rows, columns = data_entry(data, described, lambda path: relpath(path.resolve(), root)) if data else (None, None)
    found = data_sources.describe(rows, root) if rows else None
    meeting = Meeting()
    if described and found:
        if described.modality != found.modality:
            message = f"{data}: expected {described.modality} data for this model, found {found.modality} data"
            raise SourceError(message, hint="name other data for it")
        meeting = meet(described.classes, columns.labels if columns else found.classes, described.outputs)
    modality = described.modality if described else found.modality if found else "image"
    lines = (
        *_head(model, data, modality, out),
        *(_model(described, meeting, root, folder) if described else model_blank()),
        *(_data(found, columns, meeting, root, folder) if found else data_blank(modality)),
        *_checks(described),
    )
    return "\n".join(lines) + "\n"


def reaching(out: Path, model: Path | None, data: Path | None) -> str:
    """The flags that a spec at `out` needs to reach its files: " --root DIR ..." for those outside its own root."""
    roots = Roots(root_of(out), tuple(each.expanduser().resolve() for each in user_policy().roots))
    outside = [
        path if path.is_dir() else path.parent for path in _given(model, data) if not roots.holds(path.resolve())
    ]
    return "".join(f" --root {quote(str(each))}" for each in dict.fromkeys(outside))


def _given(*paths: Path | None) -> list[Path]:
    return [path for path in paths if path is not None]


def _root(folder: Path, *paths: Path) -> Path:
    """The nearest folder that holds the spec and all it names."""
    wanted = [path.resolve() for path in paths]
    return next(each for each in (folder, *folder.parents) if all(path.is_relative_to(each) for path in wanted))


def _head(model: Path | None, data: Path | None, modality: Modality, out: Path) -> Iterator[str]:
    named = next(iter(_given(model, data)), Path("audit"))
    name = re.sub(r"[^a-z0-9-]+", "-", (named.stem if named.is_file() else named.resolve().name).lower()).strip("-")
    what = " on ".join(path.name for path in (model or Path("a model"), data or Path("data")))
    flags = reaching(out, model, data)
    yield f"# A first audit of {what}, drafted from the files alone: nothing was loaded."
    yield (
        "# Check every line marked ASSUMED" + (", fill in what is missing" if not (model and data) else "") + ", then:"
    )
    yield f"#     auditor validate {quote(str(out))}{flags}"
    yield f"#     auditor run {quote(str(out))}{flags}"
    yield "auditor: 1"
    yield f"name: {_scalar(name or 'audit')}"
    preset = PRESETS[modality]
    if files("auditor.spec").joinpath("presets", f"{preset}.yaml").is_file():
        others = "" if model or data else f"or {' or '.join(each for each in PRESETS.values() if each != preset)}; "
        note = f"{others}its checks and bounds are a convention; your own go below"
        yield _noted(f"extends: [auditor:{preset}]", note)
    yield from ("context:", _noted('  purpose: ""', "what the model decides, and who relies on it"))
    yield from (_noted('  owner: ""', "who answers for it"), "")


def _model(ref: ModelRef, meeting: Meeting, root: Path, folder: Path) -> Iterator[str]:
    yield f"# {ref.architecture}, {ref.modality} {ref.task}, {ref.parameters:,} parameters, {ref.outputs} classes"
    yield from ("model:", f"  source: {ref.source}")
    yield from _options(ref.entry["options"], root, folder)
    yield _noted(
        f"  sha256: {ref.files[0].sha256}", f"of {Path(ref.files[0].path).name}: the audit stops if it changes"
    )
    if ref.classes:
        yield f"  # classes in the order of the head: {_listed(ref.classes)}"
    elif meeting.classes:
        yield _noted(f"  classes: [{', '.join(map(_scalar, meeting.classes))}]", meeting.why)
    else:
        yield "  # classes: [...]  " + (meeting.why or "names in the order of the head")
    yield from _transforms(ref)
    yield ""


def _transforms(ref: ModelRef) -> Iterator[str]:
    """What the model will see. Assumed values stay comments: once written down they would count as known."""
    if ref.preprocess.get("kind") != "image":
        yield from (f"  # {sentence}" for sentence in ref.assumptions)
        return
    origin = ref.preprocess.get("origin", {})
    assumed = any(source == "assumed" for source in origin.values())
    yield "  # transforms:" + (
        "    # ASSUMED in part: the files do not say it all; uncomment what you know" if assumed else ""
    )
    for key in ("resize", "crop", "interpolation", "mean", "std", "channels"):
        value = _transform(key, ref.preprocess.get(key))
        if value is not None:
            yield _noted(
                f"  #   {key}: {json.dumps(value)}", "ASSUMED" if origin.get(key) == "assumed" else origin.get(key, "")
            )


def _transform(key: str, value: Any) -> Any:
    if key in {"resize", "crop"} and isinstance(value, list | tuple):
        return value[0] if value else None
    return value or None


def _data(ref: DataRef, columns: Columns | None, meeting: Meeting, root: Path, folder: Path) -> Iterator[str]:
    counts = ", ".join(f"{name} {count}" for name, count in list(ref.counts.items())[:8])
    yield f"# {ref.rows:,} rows" + (f": {counts}{' ...' if len(ref.counts) > 8 else ''}" if counts else "")
    yield from ("data:", f"  source: {ref.source}")
    notes = {"label": columns.why, "text": "the column of the longest texts"} if columns else {}
    yield from _options(ref.entry["options"], root, folder, notes)
    if meeting.labels:
        yield _noted("  labels:", meeting.why)
        yield from (f"    {_scalar(label)}: {_scalar(name)}" for label, name in meeting.labels)
    yield "  # sample: {n: 512, stratify: true}    # a seeded sample, when an audit of all rows takes too long"
    yield "  # group: COLUMN or PATTERN             # rows that belong together (one patient, one plant) count as one"
    yield ""


def _checks(ref: ModelRef | None) -> Iterator[str]:
    yield "checks:"
    yield "  - id: performance"
    yield "    use: task.performance"
    yield _noted('    # expect: {accuracy: ">= 0.90"}', "your own bound; without one the number is only shown")
    if ref is None or ref.history is None:
        yield "# The training history is unknown, so traceability and optimizability stay untested. Where there are"
        yield '# checkpoints, add to the model:  history: {checkpoints: "checkpoints/step-*.safetensors"}'


def _options(options: dict[str, Any], root: Path, folder: Path, notes: dict[str, str] | None = None) -> Iterator[str]:
    for key, value in options.items():
        if value is None:
            continue
        shown = relpath(root / value, folder) if key in {"path", "weights"} else value
        yield _noted(f"  {key}: {_value(shown)}", (notes or {}).get(key, ""))


def _value(value: Any) -> str:
    return f"[{', '.join(map(_scalar, value))}]" if isinstance(value, list | tuple) else _scalar(value)


def _scalar(value: Any) -> str:
    """A value as a YAML scalar; text is quoted unless it can be nothing but text."""
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:10]) + (f", ... ({len(listed)} in all)" if len(listed) > 10 else "")


def _noted(line: str, note: str) -> str:
    return f"{line:<40}  # {note}" if note else line


def write(text: str, out: Path) -> Path:
    """Write a new file; UsageError when there is one already."""
    try:
        with out.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise UsageError(f"{out} exists already, and is left as it is", hint="name another with --out FILE") from error
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}", hint="name another with --out FILE") from error
    return out
