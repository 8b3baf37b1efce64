"""Places: every value of a spec with the file, line and column where it was written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from auditor.errors import Problem, SpecError

Scalar = str | int | float | bool | None
Where = tuple[str | int, ...]


@dataclass(frozen=True, eq=False)
class Source:
    """One text: `name` as problems show it, `label` as the resolved spec names it (no machine path in it).

    preset: "vision-classifier@1" for a preset of the package, else "".
    """

    name: str
    label: str
    lines: tuple[str, ...]
    path: Path
    preset: str = ""


@dataclass(frozen=True)
class Mark:
    """One place; line and col count from 1."""

    source: Source
    line: int
    col: int

    @property
    def place(self) -> str:
        """ "file:line:col"."""
        return f"{self.source.name}:{self.line}:{self.col}"

    @property
    def text(self) -> str:
        """The source line."""
        lines = self.source.lines
        return lines[self.line - 1][:200] if 0 < self.line <= len(lines) else ""

    @property
    def set_by(self) -> str:
        """Who wrote it: "preset@version", or "file:line"."""
        return self.source.preset or f"{self.source.label}:{self.line}"


@dataclass(frozen=True)
class Node:
    """A value where it was written. raw: the text of a scalar; key: where its key stands; size: values inside.

    given: the "-p NAME=VALUE" of the command line that it holds, "" without one.
    """

    value: "Scalar | tuple[Node, ...] | Mapping[str, Node]"
    mark: Mark
    raw: str = ""
    key: Mark | None = None
    size: int = 1
    given: str = ""

    @property
    def entries(self) -> "Mapping[str, Node]":
        """The entries of a mapping; empty for anything else."""
        return self.value if isinstance(self.value, Mapping) else {}

    @property
    def items(self) -> "tuple[Node, ...]":
        """The items of a sequence; empty for anything else."""
        return self.value if isinstance(self.value, tuple) else ()

    def plain(self) -> Any:
        """The value as plain data."""
        if isinstance(self.value, Mapping):
            return {name: node.plain() for name, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value

    def child(self, part: str | int) -> "Node | None":
        """The entry or item of that name or number, if there is one."""
        if isinstance(part, str):
            return self.entries.get(part)
        return self.items[part] if 0 <= part < len(self.items) else None

    def walk(self) -> "Iterator[Node]":
        """Itself and all that is inside."""
        yield self
        for node in (*self.entries.values(), *self.items):
            yield from node.walk()


class Place(NamedTuple):
    """A place, ready for a Problem."""

    place: str
    line: str


@dataclass(frozen=True)
class Places:
    """The places of a merged spec. Checks are found by number or by id."""

    root: Node

    def at(self, where: Where) -> Place:
        """The place of the value at `where`, or of the nearest value around it that was written.

        A model or data set that is derived from a short form is found by its name, e.g. ("models", "model", "path").
        """
        node = self.root
        for part in where:
            inner = node.child(part) or _by_id(node, part)
            if inner is None:
                break
            node = inner
        mark = node.key or node.mark
        return Place(mark.place, mark.text)


def _by_id(node: Node, part: str | int) -> Node | None:
    for item in node.items:
        if (name := item.child("id")) and name.value == part:
            return item
    return None


@dataclass
class Findings:
    """All problems found so far. `incomplete`: something that the spec extends could not be read."""

    problems: list[tuple[Mark | None, Problem]] = field(default_factory=list)
    incomplete: bool = False
    unread: set[Mark] = field(default_factory=set)

    def add(self, mark: Mark | None, message: str, hint: str = "", *, unread: bool = False) -> None:
        """One more problem. unread: the value there is lost, so nothing more is said about that place."""
        if mark in self.unread:
            return
        if mark and unread:
            self.unread.add(mark)
        place, line = (mark.place, mark.text) if mark else ("", "")
        self.problems.append((mark, Problem(message, place, line, hint)))

    def stop(self) -> None:
        """Raise SpecError if there is any problem: by file in the order met, then by line; each once."""
        if not self.problems:
            return
        files = list(dict.fromkeys(mark.source for mark, _ in self.problems if mark))

        def order(found: tuple[Mark | None, Problem]) -> tuple[int, int, int]:
            mark = found[0]
            return (files.index(mark.source), mark.line, mark.col) if mark else (-1, 0, 0)

        raise SpecError(tuple(dict.fromkeys(problem for _, problem in sorted(self.problems, key=order))))


def did_you_mean(word: str, known: "Iterator[str] | tuple[str, ...] | list[str]", what: str = "known") -> str:
    """A hint: the nearest known word, and else the whole list.

    >>> did_you_mean("accurcy", ["accuracy", "mcc"])
    "did you mean 'accuracy'?"
    >>> did_you_mean("zzz", ["accuracy", "mcc"])
    'known: accuracy, mcc'
    """
    names = [str(name) for name in known]
    if close := get_close_matches(str(word), names, n=1, cutoff=0.6):
        return f"did you mean {close[0]!r}?"
    shown = ", ".join(names[:30]) + (f" and {len(names) - 30} more" if len(names) > 30 else "")
    return f"{what}: {shown}" if names else f"{what}: none"
