"""Checks: each entry of a spec resolved: its class, parameters, model, data, rules and preconditions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from auditor.spec import expectations
from auditor.spec.catalogue import Catalogue, data_fields, metrics_of
from auditor.spec.document import WrittenCheck
from auditor.spec.entries import Entries
from auditor.spec.expectations import Expected
from auditor.spec.merging import as_list
from auditor.spec.model import CheckEntry, Finetune, ModelEntry, Rule, Skipped
from auditor.spec.places import Findings, Mark, Node, did_you_mean
from auditor.spec.validation import validate

_LISTS = ("against", "after")


@dataclass
class Checks:
    """Resolves the checks of a draft, one by one. classes: the classes used so far, by `use`."""

    catalogue: Catalogue
    entries: Entries
    models: Mapping[str, ModelEntry]
    defaults: Mapping[str, Node]
    found: Findings
    classes: dict[str, Any] = field(default_factory=dict)

    def class_of(self, node: Node) -> Any:
        """The class of a check by its `use`; None with a problem added. Imported once."""
        use = node.raw
        if use not in self.classes:
            if use not in self.catalogue.names():
                hint = did_you_mean(use, self.catalogue.names(), "checks")
                self.found.add(node.mark, f"unknown check {use!r}", hint)
                return None
            try:
                self.classes[use] = self.catalogue.check(use)
            except ImportError as error:
                self.found.add(
                    node.mark, f"the check {use!r} cannot be imported: {error}", "mend or uninstall its plug-in"
                )
                return None
        return self.classes[use]

    def resolve(self, name: str, layers: list[Node]) -> CheckEntry | Skipped | None:
        """One check from its layers, the inherited ones first."""
        layers = [_with_lists(layer) for layer in layers]
        written = [validate(WrittenCheck, layer, self.found) for layer in layers]
        use = next((inner for layer in layers if (inner := layer.child("use"))), None)
        cls = self.class_of(use) if use else None
        expected = self._expected(cls, use.raw, layers) if use and cls else {}
        skip = layers[-1].child("skip")
        if skip and use:
            return self._skipped(name, use.raw, layers, skip, tuple(expected))
        params, others = self._params(cls, layers) if cls else (None, {})
        model = self._target("model", layers)
        data = self._target("data", layers)
        if use is None or cls is None or None in written or params is None or model is None or data is None:
            return None
        finetune = entry.finetune if (entry := self.models.get(model)) else None
        against = tuple(item.raw for item in _last(layers, "against"))
        known = [self._other(model, item) for item in _last(layers, "against")]
        others = {**self._by_name(cls, layers, data, finetune), **others}
        rules: list[Rule] = []
        for metric, each in expected.items():
            rules.extend(expectations.rules(name, metric, each))
        question = next((inner.raw for layer in reversed(layers) if (inner := layer.child("question"))), "")
        return CheckEntry(
            id=name, use=use.raw, params=params, model=model, data=data, others=others,
            against=against or ((entry.parent,) if entry and entry.parent else ()), question=question,
            rules=tuple(rules),
            after=tuple(item.raw for item in _last(layers, "after")), set_by=layers[0].mark.set_by,
        ) if all(known) else None  # fmt: skip

    def _by_name(self, cls: Any, layers: list[Node], data: str, finetune: Finetune | None) -> dict[str, str]:
        """Further data sets that nobody named: the fine-tune's own, else the one that bears the parameter's name.

        So a preset, which knows no names, speaks of the training data of whoever calls them `train`. A null in `with`
        says that there is none.
        """
        written = {key for layer in layers if (given := layer.child("with")) for key in given.entries}
        wanted = [key for key in data_fields(cls) if key not in written]
        found = {key: key for key in wanted if key in self.entries.data and key != data}
        return {**found, "train": finetune.train} if finetune and "train" in wanted else found

    def _other(self, model: str, item: Node) -> bool:
        if item.raw == model:
            self.found.add(item.mark, f"against: {model!r} is the model that this check audits", "name another model")
            return False
        return self.entries.known("model", item)

    def _skipped(self, name: str, use: str, layers: list[Node], skip: Node, metrics: tuple[str, ...]) -> Skipped | None:
        for key, inner in layers[-1].entries.items():
            if key not in ("id", "skip", "use"):
                self.found.add(inner.key, f"{key!r} beside `skip`: a check that is left out has nothing else")
        if len(layers) == 1:
            self.found.add(skip.key, f"nothing to skip: no inherited check has the id {name!r}", "remove this entry")
            return None
        return Skipped(id=name, use=use, reason=skip.raw, set_by=skip.mark.set_by, metrics=metrics)

    def _params(self, cls: Any, layers: list[Node]) -> tuple[dict[str, Any] | None, dict[str, str]]:
        """The validated parameters, and the data sets that some of them name."""
        merged: dict[str, Node] = {}
        for layer in layers:
            if given := layer.child("with"):
                merged.update(given.entries)
        at = next((inner for layer in reversed(layers) if (inner := layer.child("with"))), layers[-1])
        fields = data_fields(cls)
        named = {key: merged[key] for key in fields if key in merged and isinstance(merged[key].value, str)}
        known = [self.entries.known("data", inner) for inner in named.values()]
        checked = validate(cls, replace(at, value=merged), self.found)
        if checked is None or not all(known):
            return None, {}
        params: dict[str, Any] = checked.model_dump(mode="json", exclude=set(fields))
        return params, {key: inner.raw for key, inner in named.items()}

    def _expected(self, cls: Any, use: str, layers: list[Node]) -> dict[str, list[Expected]]:
        """The expectations by metric, from all layers in order."""
        metrics = metrics_of(cls)
        all_of: dict[str, list[Expected]] = {}
        for layer in layers:
            for name, node in (given.entries if (given := layer.child("expect")) else {}).items():
                metric = expectations.metric_named(node, name, metrics, use, self.found)
                expected = expectations.read(metric, node, self.found) if metric else None
                if expected:
                    all_of.setdefault(name, []).append(expected)
        return all_of

    def _target(self, kind: str, layers: list[Node]) -> str | None:
        """The model or data set of a check: its own, else the only one, else defaults, else a problem."""
        names = list(self.entries.models if kind == "model" else self.entries.data)
        own = next((inner for layer in reversed(layers) if (inner := layer.child(kind))), None)
        chosen = own or (None if len(names) == 1 else self.defaults.get(kind))
        if chosen:
            return chosen.raw if self.entries.known(kind, chosen) else None
        if len(names) == 1:
            return names[0]
        if not names:
            return "" if kind == "data" else None
        self._unsaid(kind, names, layers[-1].mark)
        return None

    def _unsaid(self, kind: str, names: list[str], mark: Mark) -> None:
        what = f"which of the {len(names)} {'models' if kind == 'model' else 'data sets'}"
        if preset := mark.source.preset:
            message = f"the checks of auditor:{preset} need to know {what} they are about: {', '.join(names)}"
            named = self.entries.models if kind == "model" else self.entries.data
            hint = f"write for instance `defaults: {{{kind}: {names[-1]}}}`"
            self.found.add(named[names[0]].key, message, hint)
        else:
            hint = f"write `{kind}: {names[0]}` in it, or `defaults: {{{kind}: ...}}` for all"
            self.found.add(mark, f"this check does not say {what} it is about: {', '.join(names)}", hint)

    def order(self, checks: Mapping[str, list[Node]]) -> None:
        """Every `after` names another check, and there is no circle."""
        after = {name: _last([_with_lists(layer) for layer in layers], "after") for name, layers in checks.items()}
        for name, items in after.items():
            for item in items:
                if item.raw not in checks:
                    hint = did_you_mean(item.raw, [other for other in checks if other != name], "checks of this spec")
                    self.found.add(item.mark, f"after: no check has the id {item.raw!r}", hint)
                elif _reaches(item.raw, name, after):
                    self.found.add(item.mark, f"after: {name!r} and {item.raw!r} wait for each other")


def _reaches(start: str, goal: str, after: Mapping[str, tuple[Node, ...]]) -> bool:
    seen: set[str] = set()
    todo = [start]
    while todo:
        name = todo.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            todo.extend(item.raw for item in after.get(name, ()))
    return False


def _with_lists(layer: Node) -> Node:
    entries = {name: as_list(node) if name in _LISTS else node for name, node in layer.entries.items()}
    return replace(layer, value=entries)


def _last(layers: list[Node], key: str) -> tuple[Node, ...]:
    node = next((inner for layer in reversed(layers) if (inner := layer.child(key))), None)
    return node.items if node else ()
