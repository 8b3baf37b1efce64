"""References: ${params.x} becomes its value; ${env:NAME} is allowed by name and stays a reference."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from auditor.spec.places import Findings, Node, did_you_mean

_REFERENCE = re.compile(r"\$\{([^}]*)\}?")
_ENV = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


def expand(text: str) -> str:
    """A text with its ${env:NAME} references replaced by the environment's values. KeyError if one is not set."""
    return _ENV.sub(lambda match: os.environ[match[1]], text)


def names_in(text: str) -> frozenset[str]:
    """The environment variables that a text refers to.

    >>> sorted(names_in("${env:DATA}/train"))
    ['DATA']
    """
    return frozenset(_ENV.findall(text))


@dataclass(frozen=True)
class References:
    """What references may name: the parameters, and the allowed environment variables."""

    params: Mapping[str, Node]
    env: frozenset[str]
    found: Findings

    def resolve(self, node: Node) -> Node:
        """The node with all ${params.x} in it replaced; a scalar that is one reference keeps the value's type."""
        if isinstance(node.value, Mapping):
            return replace(node, value={name: self.resolve(inner) for name, inner in node.value.items()})
        if isinstance(node.value, tuple):
            return replace(node, value=tuple(self.resolve(inner) for inner in node.value))
        if not isinstance(node.value, str) or "${" not in node.value:
            return node
        return self._scalar(node, node.value)

    def _scalar(self, node: Node, text: str) -> Node:
        whole = _REFERENCE.fullmatch(text)
        if whole and (value := self._param(whole[1])) is not None:
            return replace(value, mark=node.mark, key=node.key)

        given: list[str] = []

        def fill(match: re.Match[str]) -> str:
            value = self._param(match[1])
            if value is not None and not value.entries and not value.items:
                given.append(value.given)
                return value.raw
            if not _ENV.fullmatch(match[0]):
                self._unknown(node, match)
            return match[0]

        filled = _REFERENCE.sub(fill, text)
        for name in sorted(names_in(filled)):  # in the filled text: parameters may not smuggle a reference in
            self._check_env(node, name)
        return replace(node, value=filled, raw=filled, given=" ".join(filter(None, given)))

    def _param(self, inner: str) -> Node | None:
        return self.params.get(inner.removeprefix("params.")) if inner.startswith("params.") else None

    def _unknown(self, node: Node, match: re.Match[str]) -> None:
        inner = match[1]
        if inner.startswith("params."):
            name = inner.removeprefix("params.")
            hint = did_you_mean(name, list(self.params), "declared under params")
            self.found.add(node.mark, f"unknown parameter {name!r} in {match[0]}", hint, unread=True)
        else:
            message = f"expected ${{params.NAME}} or ${{env:NAME}}, found {match[0]!r}"
            self.found.add(node.mark, message, "there is no other templating in a spec", unread=True)

    def _check_env(self, node: Node, name: str) -> None:
        if name not in self.env:
            message = f"the environment variable {name} is not allowed in this audit"
            self.found.add(node.mark, message, f"allow it on the command line: --env {name}", unread=True)
        elif name not in os.environ:
            self.found.add(
                node.mark, f"the environment variable {name} is allowed, but not set", f"export {name}=...", unread=True
            )
