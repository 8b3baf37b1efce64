"""The project's own source as syntax trees: what the contract tests look at."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "auditor"

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file: its path inside the project, its dotted name, its tree, its number of lines."""

    path: Path
    name: str
    tree: ast.Module
    lines: int

    def __str__(self) -> str:
        return str(self.path)


@cache
def modules() -> tuple[Module, ...]:
    """All modules of the package, in the order of their paths."""
    return tuple(_read(path) for path in sorted(PACKAGE.rglob("*.py")))


def _read(path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    inside = path.relative_to(ROOT)
    name = ".".join(inside.with_suffix("").parts).removesuffix(".__init__")
    return Module(inside, name, ast.parse(text, str(inside)), len(text.splitlines()))


def functions(tree: ast.AST) -> Iterator[Function]:
    """All functions and methods, nested ones included."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def docstring_lines(tree: ast.AST) -> int:
    """Lines taken by docstrings inside a tree, so that nobody saves lines on documentation."""
    holders = (node for node in ast.walk(tree) if isinstance(node, Documented))
    return sum(_length(node.body[0]) for node in holders if ast.get_docstring(node, clean=False) is not None)


def code_lines(function: Function) -> int:
    """Lines of a function from `def` to its end, docstrings not counted."""
    return _length(function) - docstring_lines(function)


def _length(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def top_imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Dotted names imported when the module is loaded (not inside a function, not under TYPE_CHECKING), with lines."""
    for node in _loaded(tree):
        yield from _names(node)


def all_imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Dotted names imported anywhere, inside functions too."""
    for node in ast.walk(tree):
        yield from _names(node)


def _names(node: ast.AST) -> Iterator[tuple[str, int]]:
    if isinstance(node, ast.Import):
        yield from ((alias.name, node.lineno) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def _loaded(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.Lambda) or _type_checking(child):
            continue
        yield child
        yield from _loaded(child)


def _type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
