"""The user's policy file, ~/.config/auditor/policy.yaml: folders and models that this person trusts."""

from dataclasses import dataclass
from pathlib import Path

from auditor.spec.places import Findings, Node, Source


@dataclass(frozen=True)
class UserPolicy:
    """roots: further folders that specs may read. trust: digests or names that may run code."""

    roots: tuple[Path, ...] = ()
    trust: tuple[str, ...] = ()


def policy_file() -> Path:
    """Where the policy file is."""
    return Path.home() / ".config" / "auditor" / "policy.yaml"


def user_policy() -> UserPolicy:
    """The policy of this user; empty without a file. SpecError if the file is wrong."""
    from auditor.spec.layers import read_text
    from auditor.spec.reading import parse

    path = policy_file()
    if not path.is_file():
        return UserPolicy()
    found = Findings()
    source = Source(str(path), path.name, tuple(read_text(path, str(path)).splitlines()), path)
    node = parse(source, found)
    roots, trust = (_texts(node, key, found) for key in ("roots", "trust"))
    if node:
        for key in set(node.entries) - {"roots", "trust"}:
            found.add(node.entries[key].key, f"unknown key {key!r} in the policy file", "known keys: roots, trust")
    found.stop()
    return UserPolicy(tuple(Path(each).expanduser() for each in roots), tuple(trust))


def _texts(node: Node | None, key: str, found: Findings) -> list[str]:
    given = node.child(key) if node else None
    if given is None:
        return []
    items = given.items or (given,)
    for item in items:
        if not isinstance(item.value, str):
            found.add(item.mark, f"{key}: expected a list of texts")
    return [item.raw for item in items if isinstance(item.value, str)]
