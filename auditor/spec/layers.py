"""Layers: a spec and all that it extends, presets and files, in the order in which later wins."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from auditor.errors import Problem, SpecError
from auditor.spec.merging import shorten
from auditor.spec.paths import Roots
from auditor.spec.places import Findings, Node, Source, did_you_mean
from auditor.spec.reading import MAX_BYTES, parse

PRESETS = Path(__file__).parent / "presets"
_VERSION = re.compile(r"^version: *(\d+) *$", re.MULTILINE)


def preset_names() -> tuple[str, ...]:
    """The presets that come with the package."""
    return tuple(sorted(path.stem for path in PRESETS.glob("*.yaml")))


def read_text(path: Path, name: str) -> str:
    """The text of a spec file. SpecError if it is missing, too large or not UTF-8."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise SpecError((Problem(f"{name} is a folder", hint="name the spec file inside it"),)) from None
    except (OSError, ValueError) as error:
        raise SpecError((Problem(f"cannot read {name}: {getattr(error, 'strerror', None) or error}"),)) from None
    if len(data) > MAX_BYTES:
        raise SpecError((Problem(f"{name} has more than {MAX_BYTES:,} bytes: that is no audit spec"),))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SpecError((Problem("the file is not UTF-8 text", f"{name}:{line}:1", hint="save it as UTF-8"),)) from None


@dataclass
class Layers:
    """What was read: the nodes, base first; and the presets with their versions."""

    roots: Roots
    found: Findings
    nodes: list[Node] = field(default_factory=list)
    presets: list[str] = field(default_factory=list)
    open: list[Path] = field(default_factory=list)
    read: set[Path] = field(default_factory=set)

    def add(self, path: Path, name: str, text: str, preset: str = "") -> None:
        """Read one text and, before it, all that it extends."""
        self.read.add(path)
        label = self.roots.relative(path)
        source = Source(name, label, tuple(text.splitlines()), path, preset)
        node = parse(source, self.found)
        if node is None or not isinstance(node.value, dict):
            self._not_a_spec(source, node)
            return
        node = shorten(node, self.found)
        self.open.append(path)
        extends = node.child("extends")
        for item in extends.items if extends else ():
            if isinstance(item.value, str):
                self._extend(item)
        self.open.pop()
        self.nodes.append(node)

    def _not_a_spec(self, source: Source, node: Node | None) -> None:
        from auditor.spec.places import Mark

        self.found.incomplete = True
        if not self.found.problems:
            mark = node.mark if node else Mark(source, 1, 1)
            what = "a list or a single value" if node else "nothing"
            self.found.add(mark, f"expected a mapping that starts with `auditor: 1`, found {what}")

    def _extend(self, item: Node) -> None:
        text = item.raw
        if "${" in text:
            hint = "name the file or preset itself"
            self.found.add(item.mark, f"`extends` takes no references, found {text!r}", hint, unread=True)
            self.found.incomplete = True
            return
        if text.startswith("auditor:"):
            self._preset(item, text.removeprefix("auditor:"))
            return
        before = len(self.found.problems)
        path = self.roots.file(item, self.found)
        if path is None:
            self.found.incomplete |= len(self.found.problems) > before
            return
        if path in self.open:
            chain = " -> ".join([*(each.name for each in self.open[self.open.index(path) :]), path.name])
            self.found.add(item.mark, f"`extends` goes round in a circle: {chain}", "remove one of these `extends`")
            self.found.incomplete = True
            return
        if path in self.read:
            return  # extended twice: it stands where it was met first, under all that changed it since
        name = str(Path(item.mark.source.name).parent / text)
        self.add(path, name, read_text(path, name))

    def _preset(self, item: Node, name: str) -> None:
        if name not in preset_names():
            hint = did_you_mean(name, preset_names(), "presets")
            self.found.add(item.mark, f"unknown preset 'auditor:{name}'", hint)
            self.found.incomplete = True
            return
        path = PRESETS / f"{name}.yaml"
        text = read_text(path, path.name)
        version = _VERSION.search(text)
        preset = f"{name}@{version[1] if version else 0}"
        if preset not in self.presets:
            self.presets.append(preset)
            self.add(path, f"auditor:{name}", text, preset)
