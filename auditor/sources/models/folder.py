"""Files of a transformers folder: real files in it, JSON objects, and no wish to run foreign code."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from auditor.errors import RefusedError, SourceError
from auditor.sources.paths import Where, below, dotted

FORBIDDEN = frozenset({"auto_map", "trust_remote_code", "_attn_implementation_internal"})


def require_own(root: Path, folder: Path, names: Iterable[str], where: Where) -> None:
    """Whatever is read from the folder is a file in it or below the root: no link out, no pipe. Missing ones pass."""
    for name in names:
        below(root, folder, folder / name, where)


def read_config(path: Path, where: Where) -> dict[str, Any]:
    """A JSON object that sets nothing, at any depth, which runs or selects foreign code; else RefusedError."""
    config = read_json(path, where)
    key = _forbidden(config)
    if key:
        raise RefusedError(
            f"{dotted(where)}: {path.parent.name}/{path.name} sets {key!r}, which runs or selects foreign code",
            hint=f"remove {key!r} if all of it is transformers' own; auditor runs no remote code",
            where=where,
        )
    return config


def _forbidden(config: dict[str, Any]) -> str:
    """The first forbidden key at any depth, or ""; a file may nest deeper than calls can."""
    left: list[Any] = [config]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            if own := next((key for key in each if key in FORBIDDEN and each[key]), ""):
                return own
            left.extend(each.values())
        elif isinstance(each, list):
            left.extend(each)
    return ""


def read_json(path: Path, where: Where) -> dict[str, Any]:
    """A JSON object from a file. SourceError if it is missing or not an object."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise SourceError(
            f"{dotted(where)}: {path.parent.name}/{path.name} is missing",
            hint="a transformers folder is what model.save_pretrained() writes, with its image processor or tokenizer",
            where=where,
        ) from error
    except (ValueError, RecursionError) as error:
        raise SourceError(
            f"{dotted(where)}: {path.parent.name}/{path.name} is not JSON: {error}", where=where
        ) from error
    if not isinstance(found, dict):
        raise SourceError(f"{dotted(where)}: {path.name} holds a {type(found).__name__}, not an object", where=where)
    return found
