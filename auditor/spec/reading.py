"""Reading: YAML text to nodes with places; every duplicate key is found, and bombs are refused before they open."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from auditor.spec.places import Findings, Mark, Node, Scalar, Source

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_ALIASES = 64
MAX_VALUES = 20_000

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9][0-9_]*|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_VALUES = ("ScalarEvent", "AliasEvent", "MappingStartEvent", "SequenceStartEvent")
_SYNTAX = {
    "mapping values": "a text that holds `: ` needs quotes, and a key must not be indented deeper than the one above",
    "'\\t'": "indent with spaces, not with tabs",
    "could not find expected ':'": "a key needs a `:` behind it",
    "block end": "entries of one list or mapping must start in the same column",
    "cannot start any token": "a text that starts with @, ` or % needs quotes",
    "": "a text that holds `: ` or ` #`, or starts with one of @ ` % & * ! | > [ {, needs quotes",
}
_TEXT_TAG = "tag:yaml.org,2002:str"


def scalar(text: str) -> Scalar:
    """The value of an unquoted scalar, by YAML 1.2: `no` and dates stay text, 1e-3 is a number.

    Raises ValueError for a number that is not finite or has over 300 digits.

    >>> scalar("1e-3"), scalar("no"), scalar("2027-03-31"), scalar("1_000"), scalar("012"), scalar("~")
    (0.001, 'no', '2027-03-31', 1000, 12, None)
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("expected a finite number")
    if len(text) > 300 and _FLOAT.fullmatch(text):
        raise ValueError("a number of over 300 digits")
    if _INT.fullmatch(text):
        return _integer(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        number = float(text.replace("_", ""))
        if not math.isfinite(number):
            raise ValueError("expected a finite number")
        return number
    return text


def _integer(digits: str) -> int:
    base = {"0x": 16, "0o": 8}.get(digits[:2], 10)
    return int(digits, base)


def parse(source: Source, found: Findings) -> Node | None:
    """The one document of a text as nodes; None (and a problem with its place) where it cannot be read at all."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    yaml = YAML(typ="safe", pure=True)
    text = "\n".join(source.lines) + "\n"
    composer = _Composer(source, found, yaml.parse(text), Mark(source, 1, 1))
    try:
        return composer.document()
    except _Refused as refused:
        found.add(refused.mark, refused.message, refused.hint)
    except YAMLError as error:
        found.add(*_syntax(source, error))
    except (ValueError, OverflowError, AttributeError, TypeError, AssertionError, IndexError, KeyError):
        # the scanner meets some impossible escapes and directives (e.g. "\UFFFFFFFF") with a plain Python error
        found.add(composer.last, "this is not YAML: an escape or directive here or soon after cannot be read")
    return None


def _syntax(source: Source, error: Any) -> tuple[Mark, str, str]:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable text")
    place = Mark(source, mark.line + 1, mark.column + 1) if mark else Mark(source, 1, 1)
    opened = getattr(error, "context_mark", None)
    if "flow" in str(getattr(error, "context", "")) and opened:
        message = f"a list or mapping that opens at line {opened.line + 1}, column {opened.column + 1} is not closed"
        return place, f"this is not YAML: {message}", "close it with ] or }, and put a comma between its values"
    hint = next((hint for words, hint in _SYNTAX.items() if words in problem), _SYNTAX[""])
    return place, f"this is not YAML: {problem}", hint


class _Refused(Exception):
    """A text that is not read further."""

    def __init__(self, mark: Mark, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.mark, self.message, self.hint = mark, message, hint


@dataclass
class _Composer:
    """Events to nodes. An alias is its anchor's node itself, and its size counts each time it is used."""

    source: Source
    found: Findings
    events: Iterator[Any]
    last: Mark
    anchors: dict[str, Node | None] = field(default_factory=dict)
    aliases: int = 0
    values: int = 0

    def document(self) -> Node | None:
        """The root node; None for an empty text."""
        root: Node | None = None
        for event in self.events:
            name = type(event).__name__
            if name == "DocumentStartEvent" and root is not None:
                raise _Refused(self._mark(event), "a second YAML document", "keep one document a file: remove `---`")
            if name in _VALUES:
                root = self._node(event, 1)
        return root

    def _node(self, event: Any, depth: int) -> Node:
        mark = self._mark(event)
        self.values += 1
        if self.values > MAX_VALUES:
            raise _Refused(mark, f"more than {MAX_VALUES:,} values", "that is no audit spec")
        if depth > MAX_DEPTH:
            raise _Refused(mark, f"nested more than {MAX_DEPTH} levels deep", "a spec needs fewer than ten")
        name = type(event).__name__
        if name == "AliasEvent":
            return self._alias(event, mark)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self.anchors[anchor] = None
        if name == "ScalarEvent":
            node = self._scalar(event, mark)
        else:
            self._refuse_tag(event, mark)
            node = self._mapping(mark, depth) if name == "MappingStartEvent" else self._sequence(mark, depth)
        if node.size > MAX_VALUES:
            raise _Refused(mark, f"more than {MAX_VALUES:,} values once its aliases are opened", "write it out plainly")
        if anchor:
            self.anchors[anchor] = node
        return node

    def _alias(self, event: Any, mark: Mark) -> Node:
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            raise _Refused(mark, f"more than {MAX_ALIASES} aliases (*name)", "use params and ${params.name} instead")
        if event.anchor not in self.anchors:
            raise _Refused(mark, f"the alias *{event.anchor} has no anchor &{event.anchor} before it")
        node = self.anchors[event.anchor]
        if node is None:
            raise _Refused(mark, f"the alias *{event.anchor} stands inside its own anchor")
        return replace(node, mark=mark)

    def _sequence(self, mark: Mark, depth: int) -> Node:
        items: list[Node] = []
        for event in self.events:
            if type(event).__name__ == "SequenceEndEvent":
                break
            items.append(self._node(event, depth + 1))
        return Node(tuple(items), mark, size=1 + sum(item.size for item in items))

    def _mapping(self, mark: Mark, depth: int) -> Node:
        entries: dict[str, Node] = {}
        for event in self.events:
            if type(event).__name__ == "MappingEndEvent":
                break
            key = self._node(event, depth + 1)
            value = replace(self._node(next(self.events), depth + 1), key=key.mark)
            if key.entries or key.items or isinstance(key.value, (dict, tuple)):
                self.found.add(key.mark, "a key must be a word, found a list or mapping")
            elif (first := entries.get(key.raw)) is not None and first.key is not None:
                message = f"duplicate key {key.raw!r}: it is already set on line {first.key.line}"
                self.found.add(key.mark, message, "keep one of the two")
            else:
                entries[key.raw] = value
        return Node(entries, mark, size=1 + sum(item.size for item in entries.values()))

    def _scalar(self, event: Any, mark: Mark) -> Node:
        text = event.value
        if any("\ud800" <= letter <= "\udfff" for letter in text) or "\0" in text:
            self.found.add(mark, "a character that is not text (half of a surrogate pair, or NUL)", unread=True)
            return Node("", mark)
        plain = not event.style and self._refuse_tag(event, mark)
        try:
            return Node(scalar(text) if plain else text, mark, raw=text)
        except ValueError as error:
            self.found.add(mark, f"{error}, found {text[:40]}", "put it in quotes if it is meant as text", unread=True)
            return Node(text, mark, raw=text)

    def _refuse_tag(self, event: Any, mark: Mark) -> bool:
        """Whether the value has no tag; any tag but !!str is a problem."""
        tag = str(event.tag) if getattr(event, "tag", None) is not None else ""
        if tag in ("", "!", _TEXT_TAG):
            return tag == ""
        self.found.add(mark, f"YAML tags are not part of the language, found {tag[:60]}", "remove the tag", unread=True)
        return True

    def _mark(self, event: Any) -> Mark:
        self.last = Mark(self.source, event.start_mark.line + 1, event.start_mark.column + 1)
        return self.last
