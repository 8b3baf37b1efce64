"""What was audited and under which conditions: cover, model and data cards, provenance."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from auditor.report import formatting, inputs, messages
from auditor.report.plain import shorten
from auditor.report.sections import readable
from auditor.results import Report
from auditor.subject import DataRef, History, ModelRef, Recipe, TaskRef

MAX_LABELS = 24
MAX_FILES = 3
SHORT = 52
UNCOUNTED = "not counted: no file holds them"
INLINE = ("Seeds", "Versions")  # short and many: set one after the other
Facts = tuple[tuple[str, str], ...]
Groups = tuple[tuple[str, Facts], ...]


@dataclass(frozen=True)
class Card:
    """One model or data set: facts in words, digests in mono, labels with their rows."""

    name: str
    facts: Facts
    digests: Facts
    assumptions: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    labels_more: int = 0

    @property
    def long(self) -> Facts:
        """The facts that need the whole width."""
        return tuple(fact for fact in self.facts if len(fact[1]) > SHORT)

    @property
    def halves(self) -> tuple[Facts, Facts]:
        """The short facts, in two columns."""
        short = tuple(fact for fact in self.facts if len(fact[1]) <= SHORT)
        cut = (len(short) + 1) // 2
        return short[:cut], short[cut:]


def subtitle(report: Report) -> str:
    """What the report is about, in one line."""
    present = [messages.PILLAR_WORDS[p] for p in messages.PILLAR_WORDS if any(c.pillar == p for c in report.checks)]
    listed = f"{', '.join(present[:-1])} and {present[-1]}" if len(present) > 1 else "".join(present)
    models = ", ".join(dict.fromkeys(model.architecture for model in audited(report)))
    used = dict.fromkeys(check.data for check in report.checks if check.data)
    rows = ", ".join(f"{formatting.count(report.data[n].used)} rows of {n}" for n in used if n in report.data)
    words = listed[:1] + listed[1:].lower()
    return shorten(f"{words or 'Audit'} of {models or 'no model'}{f' on {rows}' if rows else ''}", 220)


def audited(report: Report) -> tuple[ModelRef, ...]:
    """The models that checks speak about, in their order; all models where nothing ran."""
    names = dict.fromkeys(check.model for check in report.checks)
    found = tuple(report.models[name] for name in names if name in report.models)
    return found or tuple(report.models.values())


def model_card(model: ModelRef) -> Card:
    """The card of a model."""
    facts = [
        ("Architecture", model.architecture),
        ("Parameters", f"{formatting.count(model.parameters)}{_renewed(model)}" if model.parameters else UNCOUNTED),
        ("Task", f"{model.task.replace('_', ' ')} on {model.modality}, {messages.plural(model.outputs, 'output')}"),
        ("Source", model.source),
        ("Trust", messages.TRUST[model.trust]),
        ("Preprocessing", inputs.preprocessing(model.preprocess)),
        *_lineage(model),
    ]
    return Card(model.name, _filled(facts), _digests(model), assumptions=model.assumptions)


def headline(model: ModelRef) -> str:
    """The architecture and its size, as far as files tell it: they are read before any model is built."""
    if not model.parameters:
        return model.architecture
    return f"{model.architecture}, {formatting.magnitude(model.parameters)} parameters{_renewed(model)}"


def _renewed(model: ModelRef) -> str:
    return " before its head was replaced" if model.recipe and model.recipe.head else ""


def _lineage(model: ModelRef) -> list[tuple[str, str]]:
    history, recipe = model.history, model.recipe
    said = str(model.entry.get("derived_from", ""))
    rows = [("Fine-tuned from", model.parent.name if model.parent else ""), ("Said to come from", said)]
    if recipe is not None:
        rows.append(("Recipe", (
            f"{recipe.optimizer}, learning rate {formatting.number(recipe.lr)}, {recipe.schedule}, "
            f"{messages.plural(recipe.steps, 'step')} of {recipe.batch_size} examples, "
            f"{messages.plural(recipe.seeds, 'seed')}{_apart(recipe)}"
        )))  # fmt: skip
    if model.train is not None and model.validation is not None:
        rows.append(("Trained on", f"{model.train.name}, validated on {model.validation.name}"))
    if model.tasks:
        rows.append(("Tasks on one trunk", "; ".join(map(_task, model.tasks))))
    if history is None:
        rows.append(("History", "none known: traceability and optimizability cannot be audited"))
    else:
        rows.append(("History", _history(history)))
    return rows


def _task(task: TaskRef) -> str:
    data = ", ".join(each.name for each in (task.model.train, task.model.validation) if each)
    weight = "" if task.weight == 1 else f", weight {formatting.number(task.weight)}"
    return f"{task.name} ({data}{weight})"


def _history(history: History) -> str:
    holds = ", ".join(sorted(name.replace("_", " ") for name in history.holds)) or "nothing that is audited"
    steps = f", steps {history.steps[0]} to {history.steps[-1]}" if history.steps else ""
    match history.source:
        case "finetune":
            return f"trained by this audit, {messages.plural(history.seeds, 'seed')}, holds {holds}"
        case "checkpoints":
            what = "adapter checkpoint" if history.adapters else "checkpoint"
            return f"{messages.plural(len(history.steps), what)}{steps}"
        case "trace":
            shots = f"; {messages.plural(len(history.steps), 'weight snapshot')}{steps}" if history.steps else ""
            return f"a trace of its training, holds {holds}{shots}"
        case "tensorboard":
            return f"{messages.plural(len(history.record), 'event file')} of TensorBoard, holds {holds}"


def _apart(recipe: Recipe) -> str:
    """What the recipe leaves alone, adds, or ends early."""
    said = [f"frozen: {', '.join(recipe.freeze)}"] if recipe.freeze else []
    if recipe.lora is not None:
        said.append(f"adapters of rank {recipe.lora.rank} in {', '.join(recipe.lora.targets)}")
    if recipe.stop is not None:
        said.append(f"stopped after {messages.plural(recipe.stop.patience, 'record')} without a lower loss")
    return "".join(f"; {part}" for part in said)


def data_card(data: DataRef) -> Card:
    """The card of a data set, with the table of its labels."""
    table = _labels(data)
    facts = [
        ("Rows", f"{formatting.count(data.used)} used of {formatting.count(data.rows)}"),
        ("Source", f"{data.source}, {data.modality}, {data.task.replace('_', ' ')}"),
        ("Classes", formatting.count(len(data.classes)) if data.classes else ""),
        ("Resampled by", "group" if data.grouped else "example"),
        ("Unreadable rows", formatting.count(data.corrupt) if data.corrupt else ""),
        ("Options", inputs.options(data.entry)),
    ]
    return Card(
        data.name, _filled(facts), _digests(data),
        labels=tuple(table[:MAX_LABELS]), labels_more=max(0, len(table) - MAX_LABELS),
    )  # fmt: skip


def _labels(data: DataRef) -> list[tuple[str, str]]:
    """Each label of the data, with the class it is matched with where that has another name, and its rows."""
    names = dict(enumerate(data.classes))
    if not data.labels:
        return [(name, formatting.count(data.counts.get(name, 0))) for name in data.classes]
    found = []
    for label, at in sorted(data.labels.items(), key=lambda item: item[1]):
        name = names.get(at, "")
        told = label if label == name or not name else f"{label} → {name}"
        found.append((told, formatting.count(data.counts.get(name, data.counts.get(label, 0)))))
    return found


def _digests(ref: ModelRef | DataRef) -> Facts:
    """The digest of all of it and of its first files, cut: results.json holds them in full."""
    files = [(shorten(file.path.rpartition("/")[2], 40), _cut(file.sha256)) for file in ref.files[:MAX_FILES]]
    left = len(ref.files) - MAX_FILES
    more = [(f"and {messages.plural(left, 'more file')}", "")] if left > 0 else []
    return (("all of it", _cut(ref.digest.removeprefix("sha256:"))), *files, *more)


def _cut(digest: str) -> str:
    return f"{digest[:8]}…{digest[-8:]}" if len(digest) > 20 else digest


def provenance(report: Report) -> tuple[Groups, Groups]:
    """What must be equal for the numbers to repeat, and what was only noted, in two columns of one height."""
    known, run = report.provenance, report.run
    cached = sum(run.cached.values())
    repeat = (
        ("Device", known.device), ("Precision", known.precision),
        ("Threads", str(known.threads) if known.threads else ""),
        ("Batch size", str(known.batch_size) if known.batch_size else ""), ("Determinism", known.determinism),
    )  # fmt: skip
    noted = (
        ("Started", when(run.started)), ("Finished", when(run.finished)),
        ("Compute", formatting.seconds(sum(run.seconds.values())) if run.seconds else ""),
        ("From the store", f"{cached} of {messages.plural(len(run.cached), 'artifact')}" if run.cached else ""),
        *_pairs(run.hardware),
    )  # fmt: skip
    groups = (
        ("Must be equal for the numbers to repeat", _filled(repeat)),
        ("Seeds", tuple((name, str(seed)) for name, seed in known.seeds.items())),
        ("Versions", _pairs(known.environment)), ("Version control", _pairs(known.git)),
        ("This run (not part of the finding digest)", _filled(noted)),
    )  # fmt: skip
    found = [(title, facts) for title, facts in groups if facts]
    sizes = [2 + sum(len(text) // 44 + (title not in INLINE) for _, text in facts) for title, facts in found]
    cut = min(range(1, len(found) + 1), key=lambda at: abs(sum(sizes[:at]) - sum(sizes[at:])), default=0)
    return tuple(found[:cut]), tuple(found[cut:])


def when(moment: str) -> str:
    """An ISO moment as a person writes it, in UTC; the text itself where it is no moment.

    >>> when("2026-11-22T09:15:00Z")
    '22 November 2026, 09:15 UTC'
    """
    found = instant(moment)
    return moment if found is None else f"{found.day} {found:%B %Y, %H:%M} UTC"


def instant(moment: str) -> datetime | None:
    """The moment of an ISO text in UTC, or None where it is none."""
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def conditions(report: Report) -> str:
    """When and how it was audited, in one line."""
    known = report.provenance
    threads = messages.plural(known.threads, "thread") if known.threads else ""
    parts = (
        when(report.run.started),
        f"auditor {report.audit.auditor_version}",
        threads,
        known.device,
        known.precision,
    )
    return ", ".join(part for part in parts if part)


def _pairs(mapping: Mapping[str, Any]) -> Facts:
    return tuple((str(key), shorten(readable(value), 300)) for key, value in sorted(mapping.items()))


def _filled(facts: Any) -> Facts:
    return tuple((name, text) for name, text in facts if text and text != "none")
