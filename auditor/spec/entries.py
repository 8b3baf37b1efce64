"""Entries: the models and data sets of a spec, each validated by its source's options."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from auditor.spec.document import NOT_YET_DATA, NOT_YET_MODELS, SLUG, WrittenFinetune, WrittenHistory, WrittenTasks
from auditor.spec.model import DataEntry, Finetune, ModelEntry, TaskEntry
from auditor.spec.options import DATA_OPTIONS, MODEL_OPTIONS
from auditor.spec.paths import Roots
from auditor.spec.places import Findings, Node, did_you_mean
from auditor.spec.validation import keys_of, validate
from auditor.spec.wording import show
from auditor.subject import Recipe
from auditor.values import Value

HISTORIES = ("checkpoints", "trace", "tensorboard")
_ONE_HISTORY = 'e.g. history: {checkpoints: "ckpt/step-*.safetensors"} or {trace: train.trace}'

_OF_A_TASK = ("data", "validation")
_EACH_ITS_OWN = "each task has its own: tasks: {NAME: {data: ..., validation: ..., head: {classes: N}}}"
_ALL_ALIKE = "leave it out: tasks together and alone are compared after the same steps of the same parameters"
_NOT_BESIDE_TASKS = {**dict.fromkeys(("data", "validation", "head"), _EACH_ITS_OWN), "lora": _ALL_ALIKE,
                     "stop": _ALL_ALIKE}  # fmt: skip


@dataclass(frozen=True)
class Entries:
    """Reads the models and data sets of a spec. `named` holds all names, those with problems too."""

    models: Mapping[str, Node]
    data: Mapping[str, Node]
    roots: Roots
    found: Findings

    def read_models(self) -> dict[str, ModelEntry]:
        """All models that could be read."""
        read = {name: self._model(name, node) for name, node in self.models.items() if self._slug(name, node)}
        models = {name: entry for name, entry in read.items() if entry}
        self._circles(models)
        return models

    def read_data(self) -> dict[str, DataEntry]:
        """All data sets that could be read."""
        read = {name: self._data(name, node) for name, node in self.data.items() if self._slug(name, node)}
        return {name: entry for name, entry in read.items() if entry}

    def known(self, kind: str, node: Node) -> bool:
        """Whether a node names a model or data set; a problem if not."""
        names = self.models if kind == "model" else self.data
        if node.raw in names:
            return True
        what = "model" if kind == "model" else "data set"
        if kind == "model" and (base := node.raw.partition("@")[0]) in names and base != node.raw:
            hint = f"write {base!r}: its first seed is what is audited"
            self.found.add(node.mark, f"another seed of a fine-tune ({node.raw}) is not in this version", hint)
            return False
        hint = did_you_mean(node.raw, list(names), f"{what}s of this spec")
        self.found.add(node.mark, f"unknown {what} {node.raw!r}", hint)
        return False

    def _slug(self, name: str, node: Node) -> bool:
        import re

        if re.fullmatch(SLUG, name):
            return True
        self.found.add(node.key, f"a name has letters, digits, `.`, `_` and `-` only, found {name!r}")
        return False

    def _model(self, name: str, node: Node) -> ModelEntry | None:
        if "finetune" in node.entries:
            return self._finetune(name, node)
        source = self._source(node, MODEL_OPTIONS, NOT_YET_MODELS, "model")
        if source is None:
            return None
        rest = {key: inner for key, inner in node.entries.items() if key not in ("source", "history")}
        options = self._options(MODEL_OPTIONS[source], replace(node, value=rest), ("source", "history"))
        history = self._history(name, node.child("history"))
        if options is None or history is None:
            return None
        return ModelEntry.model_validate({"name": name, "source": source, "options": options, **history})

    def _data(self, name: str, node: Node) -> DataEntry | None:
        source = self._source(node, DATA_OPTIONS, NOT_YET_DATA, "data")
        if source is None:
            return None
        rest = {key: inner for key, inner in node.entries.items() if key != "source"}
        options = self._options(DATA_OPTIONS[source], replace(node, value=rest), ("source",))
        if options is None:
            return None
        return DataEntry.model_validate({"name": name, "source": source, "options": options})

    def _source(self, node: Node, known: Mapping[str, type], later: tuple[str, ...], kind: str) -> str | None:
        if not isinstance(node.value, Mapping):
            message = f"expected a mapping with `source` and its options, found {show(node.plain())}"
            self.found.add(node.mark, message)
            return None
        source = node.child("source")
        if source is None:
            more = " or `finetune`" if kind == "model" else ""
            self.found.add(node.key or node.mark, f"the key 'source'{more} is missing", f"sources: {', '.join(known)}")
        elif source.raw in later:
            hint = f"in this version: {', '.join(known)}"
            self.found.add(source.mark, f"the {kind} source {source.raw!r} is not in this version of auditor", hint)
        elif source.raw not in known:
            hint = did_you_mean(source.raw, list(known), "sources")
            self.found.add(source.mark, f"unknown {kind} source {source.raw!r}", hint)
        else:
            return source.raw
        return None

    def _options(self, cls: type[Value], node: Node, beside: tuple[str, ...]) -> dict[str, Any] | None:
        for key in [*node.entries]:
            if key not in keys_of(cls):
                inner = node.entries[key]
                hint = did_you_mean(key, [*keys_of(cls), *beside], "known keys")
                self.found.add(inner.key, f"unknown key {key!r}", hint)
        known = {key: inner for key, inner in node.entries.items() if key in keys_of(cls)}
        if any([self._is_blank(key, inner) for key, each in known.items() for inner in (each, *each.items)]):
            return None
        paths = self.paths(cls, node)
        options = validate(cls, replace(node, value=known), self.found)
        if options is None or len(known) < len(node.entries):
            return None
        return {**options.model_dump(mode="json", exclude_none=True), **paths}

    def _is_blank(self, key: str, node: Node) -> bool:
        """Whether a value is a blank of `auditor init`; a problem if so."""
        what = node.raw.removeprefix("<fill in: ").removesuffix(">")
        if f"<fill in: {what}>" != node.raw:
            return False
        self.found.add(node.mark, f"{key}: still to be filled in: {what}", "write it in place of <...>", unread=True)
        return True

    def paths(self, cls: type[Value], node: Node) -> dict[str, str]:
        """The options of a class that are paths, resolved against the roots."""
        resolved = {}
        for name, info in cls.model_fields.items():
            extra = info.json_schema_extra
            kind = str(extra.get("path", "")) if isinstance(extra, dict) else ""
            inner = node.child(name)
            if kind and inner and isinstance(inner.value, str) and not inner.raw.startswith("package:"):
                resolved[name] = self.roots.name(inner, kind, self.found)
        return resolved

    def _history(self, name: str, node: Node | None) -> dict[str, str] | None:
        """The fields of a ModelEntry that say where its history lies; None with a problem added."""
        if node is None:
            return {}
        if validate(WrittenHistory, node, self.found) is None:
            return None
        given = {key: inner for key, inner in node.entries.items() if inner.value is not None}
        places = [key for key in HISTORIES if key in given]
        if len(places) > 1 or not given:
            listed = f"found {' and '.join(places)}" if places else "found none"
            self.found.add(node.mark, f"expected one of {', '.join(HISTORIES)} or `from`, {listed}", _ONE_HISTORY)
            return None
        read = {key: self._recorded(key, given[key]) for key in places}
        if parent := given.get("from"):
            read["derived_from"] = parent.raw if self._parent(name, parent) else ""
        return read if all(read.values()) else None

    def _recorded(self, kind: str, node: Node) -> str:
        if kind == "checkpoints":
            return self.roots.glob(node, self.found)
        return self.roots.name(node, "file" if kind == "trace" else "any", self.found)

    def _parent(self, name: str, node: Node) -> bool:
        if node.raw == name:
            self.found.add(node.mark, f"from: {name!r} is this model itself", "name the model that it came from")
            return False
        return self.known("model", node)

    def _finetune(self, name: str, node: Node) -> ModelEntry | None:
        for key, inner in node.entries.items():
            if key != "finetune":
                hint = "a fine-tuned model has no keys of its own beside `finetune`"
                self.found.add(inner.key, f"unknown key {key!r} beside `finetune`", hint)
        inner = node.entries["finetune"]
        if "tasks" in inner.entries:
            return self._tasks(name, inner)
        written = validate(WrittenFinetune, inner, self.found)
        if written is None:
            return None
        known = [self.known("model", inner.entries["from"])]
        known += [self.known("data", inner.entries[key]) for key in ("data", "validation")]
        recipe = {key: getattr(written, key) for key in Recipe.model_fields if key != "head"}
        finetune = Finetune(
            parent=written.from_, train=written.data, validation=written.validation,
            recipe=Recipe(**recipe, head=written.head.classes if written.head else None),
        )  # fmt: skip
        return ModelEntry(name=name, source="finetune", finetune=finetune) if all(known) else None

    def _tasks(self, name: str, node: Node) -> ModelEntry | None:
        """A fine-tune of several tasks at once."""
        for key in (key for key in _NOT_BESIDE_TASKS if key in node.entries):
            self.found.add(node.entries[key].key, f"`{key}` beside `tasks`", _NOT_BESIDE_TASKS[key])
        tasks = node.entries["tasks"]
        named = [self._slug(task, each) for task, each in tasks.entries.items()]
        if isinstance(tasks.value, Mapping) and len(named) < 2:
            hint = "a single task is written without `tasks`: data: ..., validation: ..., head: ..."
            self.found.add(tasks.key, f"tasks: expected two or more, found {len(named)}", hint)
            return None
        if not all(named):
            return None
        rest = {key: inner for key, inner in node.entries.items() if key not in _NOT_BESIDE_TASKS}
        written = validate(WrittenTasks, replace(node, value=rest), self.found)
        if written is None:
            return None
        known = [self.known("model", node.entries["from"])]
        known += [self.known("data", each.entries[key]) for each in tasks.entries.values() for key in _OF_A_TASK]
        entries = tuple(
            TaskEntry(name=task, train=each.data, validation=each.validation, weight=each.weight,
                      head=each.head.classes if each.head else None)
            for task, each in written.tasks.items()
        )  # fmt: skip
        plain = {key: getattr(written, key) for key in Recipe.model_fields if key != "head"}
        own = entries[0]
        finetune = Finetune(
            parent=written.from_, train=own.train, validation=own.validation, recipe=Recipe(**plain, head=own.head),
            tasks=entries,
        )  # fmt: skip
        is_whole = all(known) and len(rest) == len(node.entries)
        return ModelEntry(name=name, source="finetune", finetune=finetune) if is_whole else None

    def _circles(self, models: dict[str, ModelEntry]) -> None:
        for name in list(models):
            chain = [name]
            while (entry := models.get(chain[-1])) and entry.parent and entry.parent not in chain:
                chain.append(entry.parent)
            if entry and entry.parent == name:
                node = self.models[name]
                mark = (node.child("finetune") or node.entries["history"]).entries["from"].mark
                what = "a fine-tune of itself" if entry.finetune else "models that come from each other"
                hint = "`from` names the model that it starts from"
                self.found.add(mark, f"{what}: {' -> '.join([*chain, name])}", hint)
