"""Merging: the layers of a spec (presets and files first, the spec itself last) into one draft; checks by id."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from auditor.spec.places import Findings, Node, did_you_mean

_LISTS = {("extends",), ("context", "out_of_scope"), ("context", "reviewers"), ("report", "formats")}
_SINGLE = {"model": "models", "data": "data"}


@dataclass
class Draft:
    """A merged spec, not yet resolved. checks: the entries of each check, the inherited ones first."""

    root: Node
    fields: dict[str, Node] = field(default_factory=dict)
    checks: dict[str, list[Node]] = field(default_factory=dict)
    waivers: list[Node] = field(default_factory=list)

    def tree(self) -> Node:
        """The whole draft as one node, for places: each check's own words over the inherited ones."""
        checks = tuple(_overlay(identity, entries) for identity, entries in self.checks.items())
        whole = dict(self.fields)
        whole["checks"] = Node(checks, self.root.mark)
        whole["waivers"] = Node(tuple(self.waivers), self.root.mark)
        return replace(self.root, value=whole)


def _overlay(identity: str, entries: list[Node]) -> Node:
    merged = entries[0]
    for entry in entries[1:]:
        merged = _over(merged, entry)
    name = merged.child("id") or Node(identity, entries[-1].mark, raw=identity)
    return replace(merged, value={**merged.entries, "id": name}, mark=entries[-1].mark)


def shorten(node: Node, found: Findings) -> Node:
    """One layer with its short forms written long: `model: {source: ..}`, and single words where a list may stand."""
    entries = dict(node.entries)
    for short, name in _SINGLE.items():
        single = entries.get(short)
        if single is None or not (short == "model" or "source" in single.entries):
            continue
        if short == "model" and "models" in entries:
            found.add(single.key, "`model` and `models` stand in one file", "move it under `models` with a name")
            del entries["model"]
            continue
        del entries[short]
        entries[name] = replace(single, value={short: single})
    for where in _LISTS:
        _listed(entries, where)
    return replace(node, value=entries)


def _listed(entries: dict[str, Node], where: tuple[str, ...]) -> None:
    node = entries.get(where[0])
    if node is None:
        return
    if len(where) > 1:
        inner = dict(node.entries)
        _listed(inner, where[1:])
        if inner:
            entries[where[0]] = replace(node, value=inner)
    else:
        entries[where[0]] = as_list(node)


def as_list(node: Node) -> Node:
    """A single word as a list of one."""
    return replace(node, value=(replace(node, key=None),)) if isinstance(node.value, str) else node


def merge(layers: list[Node], found: Findings) -> Draft:
    """All layers in one draft, later over earlier."""
    draft = Draft(layers[-1])
    for layer in (*(_extended(layer, found) for layer in layers[:-1]), layers[-1]):
        for name, node in layer.entries.items():
            match name:
                case "checks":
                    _each(node, "checks", found, lambda entry, seen: _check(draft, entry, seen, found))
                case "waivers":
                    _each(node, "waivers", found, lambda entry, _: draft.waivers.append(entry))
                case "models" | "data":
                    draft.fields[name] = _named(draft.fields.get(name), node)
                case "extends" | "version":
                    pass
                case _:
                    draft.fields[name] = _over(draft.fields.get(name), node)
    return draft


def _extended(layer: Node, found: Findings) -> Node:
    """A layer without what is its own: its name, its language (which must be this one), and a preset's title."""
    language = layer.child("auditor")
    if language and language.value != 1:
        hint = "this version reads language 1"
        found.add(language.mark, f"auditor: expected 1, found {language.raw or 'nothing'}", hint)
    own = ("auditor", "name", "title") if layer.mark.source.preset else ("auditor", "name")
    return replace(layer, value={name: node for name, node in layer.entries.items() if name not in own})


def _over(below: Node | None, above: Node) -> Node:
    """`above` over `below`: mappings merge key by key, anything else replaces."""
    if below is None or not isinstance(below.value, Mapping) or not isinstance(above.value, Mapping):
        return above
    merged = dict(below.value)
    for name, node in above.value.items():
        merged[name] = _over(merged.get(name), node)
    return replace(above, value=merged)


def _named(below: Node | None, above: Node) -> Node:
    """Models or data sets by name; an entry with a source of its own replaces the inherited one whole."""
    if below is None or not isinstance(below.value, Mapping) or not isinstance(above.value, Mapping):
        return above
    merged = dict(below.value)
    for name, node in above.value.items():
        whole = "source" in node.entries or "finetune" in node.entries
        merged[name] = node if whole else _over(merged.get(name), node)
    return replace(above, value=merged)


def _each(node: Node, name: str, found: Findings, take: Callable[[Node, set[str]], None]) -> None:
    if not isinstance(node.value, tuple):
        if node.value is not None:
            found.add(node.mark, f"{name}: expected a list, found {_kind(node)}", "start each entry with `- `")
        return
    seen: set[str] = set()
    for entry in node.items:
        if isinstance(entry.value, Mapping):
            take(entry, seen)
        else:
            found.add(entry.mark, f"{name}: expected a mapping (key: value), found {_kind(entry)}")


def _kind(node: Node) -> str:
    return "a mapping" if isinstance(node.value, Mapping) else f"{node.raw[:40]!r}" if node.raw else "a list"


def _check(draft: Draft, entry: Node, seen: set[str], found: Findings) -> None:
    use = entry.child("use")
    written = entry.child("id")
    name = written.raw if written else use.raw.rpartition(".")[2] if use else ""
    mark = (written or use or entry).mark
    if not name:
        found.add(mark, "a check needs `use` (a check of the catalogue) or the `id` of an inherited check")
        return
    if name in seen:
        found.add(mark, f"two checks with the id {name!r}", "give one of them another `id:`")
        return
    seen.add(name)
    inherited = draft.checks.get(name, [])
    if not use and not inherited:
        if not found.incomplete:
            hint = did_you_mean(name, list(draft.checks), "inherited")
            found.add(mark, f"no inherited check has the id {name!r}, and this entry has no `use`", hint)
        return
    before = next((inner for each in inherited if (inner := each.child("use"))), None)
    if use and before and use.raw != before.raw:
        message = f"the id {name!r} is inherited with `use: {before.raw}`, found `use: {use.raw}`"
        found.add(use.mark, message, "give this check an `id:` of its own")
        return
    draft.checks.setdefault(name, []).append(entry)
