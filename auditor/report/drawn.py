"""Figures that were drawn before: a run that computes nothing new draws nothing new."""

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from auditor.blocks import AnyBlock, Bars, Heatmap, Lines
from auditor.report.figure import Figure

_CODE = ("figures.py", "figurestyle.py", "margins.py", "lettering.py", "formatting.py", "plain.py")


class Drawn:
    """A folder of drawn figures, each named by its block and by the code that draws; None keeps nothing."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def figure(self, block: AnyBlock) -> Figure | None:
        """The figure of a block, from the folder where it is there, whole and unchanged."""
        if not isinstance(block, Lines | Bars | Heatmap):
            return None
        path = None if self.folder is None else self.folder / f"{_key(block)}.json"
        found = _read(path) if path else None
        if found is None:
            from auditor.report import figures  # matplotlib is loaded only where something is drawn

            found = figures.draw(block)
            if path and found:
                _write(path, found)
        return found


def _key(block: AnyBlock) -> str:
    return hashlib.sha256(f"{_code()}\n{block.model_dump_json()}".encode()).hexdigest()


@lru_cache(maxsize=1)
def _code() -> str:
    here = Path(__file__).parent
    parts = [hashlib.sha256((here / name).read_bytes()).hexdigest() for name in _CODE]
    return "\n".join([*parts, version("matplotlib"), version("numpy")])


def _digest(fields: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> Figure | None:
    """The figure in a file; None where there is none, or where it is not what was written: it is drawn again."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        fields = held["figure"]
        if held["sha256"] != _digest(fields):
            return None
        return Figure(**{**fields, "data": fields["data"].encode()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write(path: Path, figure: Figure) -> None:
    fields = {**asdict(figure), "data": figure.data.decode()}
    # A figure that cannot be kept is only drawn again: no reason to lose the page.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps({"sha256": _digest(fields), "figure": fields}), encoding="utf-8")
        temporary.replace(path)
