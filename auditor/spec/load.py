"""Load: a spec file to a resolved Spec; all its errors at once, each with its place."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from auditor.errors import Problem, SourceError, SpecError
from auditor.spec.catalogue import Catalogue, metrics_of
from auditor.spec.checks import Checks
from auditor.spec.document import Defaults, Document, WrittenWaiver
from auditor.spec.entries import Entries
from auditor.spec.expectations import within
from auditor.spec.layers import Layers, read_text
from auditor.spec.merging import Draft, merge
from auditor.spec.model import CheckEntry, Skipped, Spec, Waiver
from auditor.spec.paths import Roots, root_of
from auditor.spec.places import Findings, Mark, Node, Places, Source, did_you_mean
from auditor.spec.policy import user_policy
from auditor.spec.reading import scalar
from auditor.spec.references import References
from auditor.spec.validation import keys_of, validate

_SECTIONS = ("model", "models", "data", "checks", "waivers")


@dataclass(frozen=True)
class Loaded:
    """A spec that is right: resolved, with the root its paths begin at, the places of its values, and its text."""

    spec: Spec
    root: Path
    places: Places
    text: str


def load(
    path: Path,
    catalogue: Catalogue,
    *,
    params: Mapping[str, Any] | None = None,
    env: Iterable[str] = (),
    roots: Iterable[Path] = (),
) -> Loaded:
    """Read, merge, check and resolve a spec. Raises SpecError with all its problems.

    params: values for ${params.x} that win over the spec's (texts are read as YAML scalars, "64" is a number).
    env: environment variables that ${env:NAME} may name. roots: further folders that paths may reach into.
    """
    text = read_text(path, str(path))
    more = tuple(Path(each).expanduser().resolve() for each in (*roots, *user_policy().roots))
    reading = _Reading(catalogue, Roots(root_of(path), more), dict(params or {}), frozenset(env))
    return reading.load(path, text)


def as_spec_error(loaded: Loaded, error: SourceError) -> SpecError:
    """A SourceError of a later stage as a SpecError at the place in the spec that it speaks of."""
    place, line = loaded.places.at(error.where) if error.where else ("", "")
    return SpecError((Problem(error.message, place, line, error.hint),))


@dataclass
class _Reading:
    """One call of load()."""

    catalogue: Catalogue
    roots: Roots
    params: dict[str, Any]
    env: frozenset[str]
    found: Findings = field(default_factory=Findings)

    def load(self, path: Path, text: str) -> Loaded:
        layers = Layers(self.roots, self.found)
        layers.add(path.resolve(), str(path), text)
        if not layers.nodes:
            self.found.stop()
            raise SpecError((Problem("nothing could be read", str(path)),))
        nodes = self._referenced(layers.nodes)
        draft = merge(nodes, self.found)
        spec = self._spec(draft, tuple(layers.presets))
        self.found.stop()
        if spec is None:
            raise AssertionError("a spec without problems resolves")
        return Loaded(spec, self.roots.root, Places(draft.tree()), text)

    def _referenced(self, nodes: list[Node]) -> list[Node]:
        """The layers with references replaced and the command line's parameters in."""
        declared: dict[str, Node] = {}
        for node in nodes:
            if given := node.child("params"):
                declared.update(given.entries)
        for name, value in self.params.items():
            if name not in declared:
                hint = did_you_mean(name, list(declared), "declared under params")
                self.found.add(None, f"-p {name}: the spec declares no such parameter", hint)
            else:
                declared[name] = self._given(name, value, declared[name])
        alone = References({}, self.env, self.found)  # a parameter may name the environment, not another parameter
        declared = {name: alone.resolve(node) for name, node in declared.items()}
        references = References(declared, self.env, self.found)
        return [_resolved(node, references) for node in nodes]

    def _given(self, name: str, value: Any, old: Node) -> Node:
        source = Source(f"-p {name}={value}", f"-p {name}", (str(value),), old.mark.source.path)
        try:
            read = scalar(value) if isinstance(value, str) else value
            if read is not None and not isinstance(read, (str, int, float)):
                raise ValueError("expected one number or text, found a list or mapping")
        except ValueError as error:
            self.found.add(None, f"-p {name}={value}: {error}")
            return old
        return Node(read, Mark(source, 1, 1), raw=str(value), key=old.key, given=source.name)

    def _spec(self, draft: Draft, presets: tuple[str, ...]) -> Spec | None:
        fields = draft.fields
        head = {name: node for name, node in fields.items() if name not in ("models", "data")}
        for name in [name for name in head if name not in keys_of(Document)]:
            known = did_you_mean(name, [*keys_of(Document), *_SECTIONS], "known keys")
            self.found.add(head.pop(name).key, f"unknown key {name!r}", known)
        document = validate(Document, replace(draft.root, value=head, key=None), self.found)
        if later := fields.get("baseline"):
            hint = "this version compares a model with its bounds only"
            self.found.add(later.key, "`baseline` is not in this version of auditor", hint)
        entries = Entries(self._named(fields, "models"), self._named(fields, "data"), self.roots, self.found)
        models, data = entries.read_models(), entries.read_data()
        if not entries.models and not self.found.incomplete:
            hint = "for instance: model: {source: transformers, path: models/mine}"
            self.found.add(draft.root.mark, "the spec names no model", hint)
        defaults = fields["defaults"].entries if "defaults" in fields else {}
        for kind in Defaults.model_fields:
            if (chosen := defaults.get(kind)) and chosen.raw:
                entries.known(kind, chosen)
        checks = Checks(self.catalogue, entries, models, defaults, self.found)
        resolved = [checks.resolve(name, layers) for name, layers in draft.checks.items()]
        checks.order(draft.checks)
        waivers = [self._waiver(node, draft, checks) for node in draft.waivers]
        if not any(isinstance(each, CheckEntry) for each in resolved) and not self.found.problems:
            message = "the spec leaves no check to run" if resolved else "the spec asks for no check"
            hint = "`auditor checks` lists them; for instance: checks: [{use: task.performance}]"
            self.found.add(draft.root.mark, message, hint)
        if document is None or self.found.problems:
            return None
        return Spec(
            name=document.name, title=document.title, presets=presets, params=self._param_values(fields),
            context=document.context, models=models, data=data, run=document.run, policy=document.policy,
            checks=tuple(each for each in resolved if isinstance(each, CheckEntry)),
            skipped=tuple(each for each in resolved if isinstance(each, Skipped)),
            waivers=tuple(each for each in waivers if each), report=document.report,
        )  # fmt: skip

    def _param_values(self, fields: Mapping[str, Node]) -> dict[str, Any]:
        declared = fields["params"].plain() if "params" in fields else {}
        given = {name: scalar(value) if isinstance(value, str) else value for name, value in self.params.items()}
        return {**declared, **given}

    def _named(self, fields: Mapping[str, Node], name: str) -> Mapping[str, Node]:
        node = fields.get(name)
        if node is not None and not isinstance(node.value, Mapping):
            self.found.add(node.mark, f"{name}: expected a mapping of names, each with its `source`")
        return node.entries if node else {}

    def _waiver(self, node: Node, draft: Draft, checks: Checks) -> Waiver | None:
        entries = dict(node.entries)
        if (expires := entries.get("expires")) and not expires.entries and not expires.items:
            entries["expires"] = replace(expires, value=expires.raw)  # an unreadable date is judge's to refuse
        written = validate(WrittenWaiver, replace(node, value=entries), self.found)
        if written is None:
            return None
        layers = draft.checks.get(written.check)
        if layers is None:
            hint = did_you_mean(written.check, list(draft.checks), "checks of this spec")
            self.found.add(entries["check"].mark, f"a waiver of the unknown check {written.check!r}", hint)
            return None
        use = next((inner for layer in layers if (inner := layer.child("use"))), None)
        cls = checks.classes.get(use.raw) if use else None
        metrics = metrics_of(cls) if cls else {}
        names = [metric.name for metric in metrics.values() if metric.thresholdable]
        if cls and written.metric not in names:
            hint = did_you_mean(written.metric, names, "its metrics")
            message = f"a waiver of the unknown metric {written.metric!r} of {written.check}"
            self.found.add(entries["metric"].mark, message, hint)
            return None
        if cls and (limit := entries.get("no_worse_than")):
            within(metrics[written.metric], written.no_worse_than, limit, self.found)
        return Waiver(**written.model_dump(), set_by=node.mark.set_by)


def _resolved(node: Node, references: References) -> Node:
    value = {
        name: inner if name in ("params", "extends") else references.resolve(inner)
        for name, inner in node.entries.items()
    }
    return replace(node, value=value)
