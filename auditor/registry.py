"""Registry: the checks by name, found from their files without importing them."""

import ast
import inspect
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from auditor.check import PILLARS, Check
from auditor.errors import UsageError

GROUP = "auditor.checks"
_FOLDER = Path(__file__).parent / "checks"


class Registry:
    """All checks: the package's own files, and plug-ins from the entry-point group `auditor.checks`.

    A check's name is `pillar.file`; a plug-in is an entry point `pillar.name = module:Class`. Nothing is imported
    until `check(use)` asks for it. plugins: name -> "module:Class", instead of the installed entry points.
    Raises UsageError when two checks claim one name.
    """

    def __init__(self, plugins: Mapping[str, str] | None = None, folder: Path = _FOLDER) -> None:
        self.plugins = dict(plugins) if plugins is not None else _installed()
        self._files = {
            f"{pillar}.{path.stem}": path
            for pillar in PILLARS
            for path in sorted((folder / pillar).glob("*.py"))
            if not path.stem.startswith("_")
        }
        self._loaded: dict[str, type[Check]] = {}
        for name in sorted(self.plugins.keys() & self._files.keys()):
            raise UsageError(
                f"two checks are called {name!r}: the package's own, and the plug-in {self.plugins[name]}",
                "rename the plug-in's entry point, or uninstall its package",
            )

    def names(self) -> tuple[str, ...]:
        """Every name, sorted."""
        return tuple(sorted(self._files.keys() | self.plugins.keys()))

    def check(self, use: str) -> type[Check]:
        """The class of a check; imports its one file. KeyError for an unknown name."""
        if use not in self._loaded:
            self._loaded[use] = self._load(use)
        return self._loaded[use]

    def summary(self, use: str) -> str:
        """The first line of the check's class docstring, read without importing. KeyError for an unknown name."""
        path = self._files.get(use) or _plugin_file(self.plugins[use])
        for node in ast.parse(path.read_text(encoding="utf-8")).body if path else []:
            if isinstance(node, ast.ClassDef) and _is_check(node, self.plugins.get(use, "")):
                return (ast.get_docstring(node) or "").partition("\n")[0]
        return ""

    def _load(self, use: str) -> type[Check]:
        if use in self._files:
            found = _only_check(import_module(f"auditor.checks.{use}"))
        else:
            module, _, name = self.plugins[use].partition(":")
            found = getattr(import_module(module), name)
        _verify(use, found)
        return found


def _installed() -> dict[str, str]:
    if not _mentioned():
        return {}
    from importlib.metadata import entry_points  # costs a fifth of the time that a command may take to start

    found: dict[str, str] = {}
    for point in entry_points(group=GROUP):
        if found.setdefault(point.name, point.value) != point.value:
            raise UsageError(
                f"two plug-ins call a check {point.name!r}: {found[point.name]} and {point.value}",
                "uninstall one of the two packages, or rename its entry point",
            )
    return found


def _mentioned() -> bool:
    """Whether an installed distribution speaks of the group at all."""
    folders = [Path(entry or ".") for entry in sys.path]
    files = (file for folder in folders for file in folder.glob("*-info/entry_points.txt"))
    return any(folder.is_file() for folder in folders) or any(GROUP in file.read_text("utf-8") for file in files)


def _plugin_file(value: str) -> Path | None:
    found = find_spec(value.partition(":")[0])
    return Path(found.origin) if found and found.origin else None


def _is_check(node: ast.ClassDef, plugin: str) -> bool:
    if plugin:
        return node.name == plugin.partition(":")[2]
    return any(isinstance(base, ast.Name) and base.id.endswith("Check") for base in node.bases)


def _only_check(module: object) -> type[Check]:
    name = str(getattr(module, "__name__", module))
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Check) and value.__module__ == name
        and not inspect.isabstract(value)
    ]  # fmt: skip
    if len(own) != 1:
        names = ", ".join(cls.__name__ for cls in own) or "none"
        raise UsageError(f"{name}: expected exactly one Check in the file, found {names}", "one question, one file")
    return own[0]


def _verify(use: str, cls: type[Check]) -> None:
    """What can be compared without a subject: the pillar, the declared metrics, the shape of measure()."""
    where = f"{use} ({cls.__module__}:{cls.__qualname__})"
    if not (isinstance(cls, type) and issubclass(cls, Check)):
        raise UsageError(f"{where} is not a subclass of auditor.check.Check")
    pillar = use.partition(".")[0]
    if cls.pillar != pillar:
        raise UsageError(
            f"{where}: expected pillar {pillar!r}, found {cls.pillar!r}", "move the file, or mend `pillar`"
        )
    for name in ("about", "metrics"):
        if not hasattr(cls, name):
            raise UsageError(
                f"{where}: expected a class variable `{name}`, found none", "see CONTRIBUTING, add a check"
            )
    metrics = [metric.name for metric in cls.metrics]
    if twice := sorted({name for name in metrics if metrics.count(name) > 1}):
        raise UsageError(f"{where}: metric declared twice: {', '.join(twice)}")
    for each in list(inspect.signature(cls.measure).parameters.values())[1:]:
        if each.kind is each.POSITIONAL_OR_KEYWORD or each.kind is each.POSITIONAL_ONLY:
            raise UsageError(
                f"{where}: measure() must take its artifacts by name, but {each.name!r} can be given by position",
                "write def measure(self, *args, NAME: TYPE, **artifacts)",
            )
