"""Prepare: a spec read, described and planned; nothing has run yet, and torch is not imported."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from auditor.errors import SourceError, UsageError
from auditor.execute.store import Store
from auditor.plan.build import Plan, build
from auditor.plan.explain import explain
from auditor.plan.select import matcher
from auditor.plan.subjects import Described, resolve
from auditor.registry import Registry
from auditor.sources import trust
from auditor.spec.load import Loaded, as_spec_error, load
from auditor.subject import Subject


@dataclass(frozen=True)
class Options:
    """What the command line can set. trust: model names that may run code; roots: more folders that paths may reach.

    only: the words of -k. env: variables that the spec may name. out: where run folders go. cache: the store's folder.
    """

    only: str = ""
    out: Path = Path("runs")
    params: Mapping[str, str] = field(default_factory=dict)
    trust: frozenset[str] = frozenset()
    roots: tuple[Path, ...] = ()
    cache: Path | None = None
    env: frozenset[str] = frozenset()
    offline: bool = False
    fresh: bool = False
    workers: int = 1


@dataclass(frozen=True)
class Prepared:
    """A spec, read and described, with its store and plan; nothing has run yet."""

    loaded: Loaded
    described: Described
    registry: Registry
    store: Store
    plan: Plan
    deselected: frozenset[str]

    @property
    def subjects(self) -> dict[str, Subject]:
        """The subject of each check that was not deselected."""
        return {name: each for name, each in self.described.subjects.items() if name not in self.deselected}

    def replanned(self) -> Plan:
        """The plan against what the store holds now."""
        return build(self.loaded.spec, self.subjects, self.registry, self.store.keys())


def validate(path: Path, options: Options | None = None) -> Loaded:
    """Read a spec; SpecError with all its problems. Looks at files, hashes nothing, imports only the checks it uses."""
    chosen = options or Options()
    return load(path, Registry(), params=chosen.params, env=chosen.env, roots=chosen.roots)


def prepare(path: Path, options: Options | None = None) -> Prepared:
    """Read a spec, describe what it names and plan it, without torch."""
    chosen = options or Options()
    registry = Registry()
    loaded = load(path, registry, params=chosen.params, env=chosen.env, roots=chosen.roots)
    try:
        described = resolve(loaded.spec, loaded.root)
    except SourceError as error:
        raise as_spec_error(loaded, error) from error
    trust.refuse_unknown(described.models.values(), chosen.trust)
    store = Store(chosen.cache or default_cache())
    out = _deselected(loaded, chosen.only)
    subjects = {name: subject for name, subject in described.subjects.items() if name not in out}
    planned = build(loaded.spec, subjects, registry, frozenset() if chosen.fresh else store.keys())
    return Prepared(loaded, described, registry, store, planned, out)


def plan(path: Path, options: Options | None = None) -> str:
    """The plan of a spec in words: sweeps, what is shared, what is stored, what each costs."""
    prepared = prepare(path, options)
    return explain(prepared.plan, prepared.store.seconds)


def default_cache() -> Path:
    """~/.cache/auditor, or below XDG_CACHE_HOME where that is set."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "auditor"


def _deselected(loaded: Loaded, only: str) -> frozenset[str]:
    match = matcher(only)
    out = frozenset(entry.id for entry in loaded.spec.checks if not match(f"{entry.id} {entry.use}"))
    if only and len(out) == len(loaded.spec.checks):
        names = ", ".join(entry.id for entry in loaded.spec.checks)
        raise UsageError(f"-k {only!r} selects no check of this spec", hint=f"its checks are: {names}")
    return out
