"""Small rooms: the sizes that no file, function or check may exceed. Docstrings are not counted."""

import ast
import re
import subprocess
import sys
from pathlib import Path

from source import ROOT, Module, code_lines, docstring_lines, functions, modules

FILE, FUNCTION, CHECK, SMALL = 300, 50, 120, 22
NOTHING: list[str] = []


def _is_check(module: Module) -> bool:
    return module.name.startswith("auditor.checks.") and module.path.name != "__init__.py"


def test_no_file_is_over_300_lines() -> None:
    sizes = {str(module): module.lines - docstring_lines(module.tree) for module in modules()}
    assert [f"{path}: {size} lines" for path, size in sizes.items() if size > FILE] == NOTHING


def test_no_check_is_over_120_lines() -> None:
    sizes = {str(m): m.lines - docstring_lines(m.tree) for m in modules() if _is_check(m)}
    assert [f"{path}: {size} lines" for path, size in sizes.items() if size > CHECK] == NOTHING


def test_no_function_is_over_50_lines() -> None:
    sizes = [(f"{m}:{f.lineno} {f.name}", code_lines(f)) for m in modules() for f in functions(m.tree)]
    assert [f"{place}: {size} lines" for place, size in sizes if size > FUNCTION] == NOTHING


def test_nine_functions_of_ten_are_small() -> None:
    sizes = [code_lines(f) for m in modules() for f in functions(m.tree)]
    assert sum(size <= SMALL for size in sizes) >= 0.9 * len(sizes)


def test_no_function_is_too_complex() -> None:
    command = [sys.executable, "-m", "ruff", "check", "--select", "C901", "--no-cache", "--output-format", "concise"]
    found = subprocess.run([*command, "auditor"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
    excused = [str(m) for m in modules() if re.search(r"noqa:.*C901", (ROOT / m.path).read_text(encoding="utf-8"))]
    assert excused == NOTHING


def test_no_drawer_of_odds_and_ends() -> None:
    assert [str(m) for m in modules() if Path(m.path).stem in {"utils", "util", "helpers", "common", "misc"}] == NOTHING
    vague = re.compile(r"(Manager|Helper|Handler)$")
    classes = [(m, c) for m in modules() for c in ast.walk(m.tree) if isinstance(c, ast.ClassDef)]
    assert [f"{m}: {c.name}" for m, c in classes if vague.search(c.name)] == NOTHING


def test_a_module_opens_with_its_single_idea() -> None:
    first = {str(m): (ast.get_docstring(m.tree) or "").split("\n")[0] for m in modules()}
    assert [path for path, line in first.items() if not line.endswith((".", ":", "?"))] == NOTHING


def test_public_functions_and_classes_are_documented() -> None:
    assert [
        f"{m}:{node.lineno} {node.name}"
        for m in modules()
        for holder in [m.tree, *(c for c in m.tree.body if isinstance(c, ast.ClassDef) and not c.name.startswith("_"))]
        for node in holder.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not _inherits_its_text(holder, node)
        and ast.get_docstring(node) is None
    ] == NOTHING


def _inherits_its_text(holder: ast.AST, node: ast.stmt) -> bool:
    """A method of a subclass may leave its text to the base class that declares it."""
    return isinstance(holder, ast.ClassDef) and bool(holder.bases) and isinstance(node, ast.FunctionDef)


def test_every_argument_and_result_is_typed() -> None:
    assert [
        f"{m}:{f.lineno} {f.name}"
        for m in modules()
        for f in functions(m.tree)
        if f.returns is None or any(a.annotation is None for a in _arguments(f))
    ] == NOTHING


def _arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    spec = function.args
    named = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, *(a for a in (spec.vararg, spec.kwarg) if a)]
    return [a for a in named if a.arg not in {"self", "cls"}]
