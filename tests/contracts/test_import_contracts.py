"""Who may import what: the layers, and the heavy libraries that stay behind their one door."""

import subprocess
import sys
from pathlib import Path

import pytest
from source import ROOT, Module, all_imports, modules, top_imports

HEAVY = ("torch", "numpy", "torchvision", "transformers", "safetensors", "scipy", "sklearn", "PIL", "pandas", "captum")
TENSORS = ("torch", "numpy")
WORKERS = {"auditor.execute.worker", "auditor.execute.sweep"}
DRAWING = ("auditor.report.figures", "auditor.report.figurestyle", "auditor.report.margins")
ONE_DOOR = {"matplotlib": DRAWING, "jinja2": ("auditor.report.html",), "weasyprint": ("auditor.report.pdf",)}


def _root(name: str) -> str:
    return name.split(".")[0]


def _inside(module: Module, package: str) -> bool:
    return module.name == package or module.name.startswith(f"{package}.")


def test_the_layers_hold() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    found = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_tensor_libraries_are_imported_at_the_top_only_where_tensors_are_at_home() -> None:
    assert [
        f"{module}:{line} imports {name} at the top"
        for module in modules()
        for name, line in top_imports(module.tree)
        if _root(name) in HEAVY and not _at_home(module, _root(name))
    ] == []


def _at_home(module: Module, library: str) -> bool:
    """Tensors live in methods and the worker; figures are drawn from arrays, as matplotlib itself does."""
    if library == "numpy" and module.name in DRAWING:
        return True
    return library in TENSORS and (_inside(module, "auditor.methods") or module.name in WORKERS)


@pytest.mark.parametrize("library", ONE_DOOR)
def test_a_drawing_library_has_one_door(library: str) -> None:
    assert [
        f"{module}:{line} imports {name}"
        for module in modules()
        for name, line in all_imports(module.tree)
        if _root(name) == library and module.name not in ONE_DOOR[library]
    ] == []


def test_methods_know_nothing_of_the_product() -> None:
    allowed = ("auditor.errors", "auditor.statistics", "auditor.methods", "auditor.recorder")  # which stands alone
    assert _imports_beyond("auditor.methods", allowed) == []


def test_the_recorder_stands_alone() -> None:
    assert _imports_beyond("auditor.recorder", ("auditor.recorder",)) == []


def _imports_beyond(package: str, allowed: tuple[str, ...]) -> list[str]:
    return [
        f"{module}:{line} imports {name}"
        for module in modules()
        if _inside(module, package)
        for name, line in all_imports(module.tree)
        if _root(name) == "auditor" and not name.startswith(allowed)
    ]


def test_a_check_knows_no_other_check_no_threshold_and_no_page() -> None:
    forbidden = ("auditor.spec", "auditor.judge", "auditor.report", "auditor.results", "auditor.plan", "auditor.cli")
    assert [
        f"{module}:{line} imports {name}"
        for module in modules()
        if _inside(module, "auditor.checks")
        for name, line in all_imports(module.tree)
        if name.startswith((*forbidden, "auditor.checks.", "auditor.execute", "auditor.audit."))
    ] == []


def test_execute_knows_no_concrete_check() -> None:
    assert [
        f"{module}:{line} imports {name}"
        for module in modules()
        if _inside(module, "auditor.execute") or _inside(module, "auditor.plan")
        for name, line in all_imports(module.tree)
        if name.startswith("auditor.checks.")
    ] == []
