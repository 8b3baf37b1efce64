"""Paths of a spec: relative to the audit's root, and never out of it."""

from pathlib import Path

from auditor.errors import RefusedError, SourceError

Where = tuple[str | int, ...]


def inside(root: Path, path: str, where: Where, kind: str = "file") -> Path:
    """The existing file or folder that a spec names, with symbolic links followed and still inside the root.

    kind: "file", "folder" or "any". Raises SourceError when it is missing or of another kind, and RefusedError when it
    lies outside the root, or a link leads there.
    """
    base = root.resolve()
    found = (base / path).resolve()
    if not found.is_relative_to(base):
        raise RefusedError(
            f"{dotted(where)}: {path!r} leads out of the audit's root ({base})",
            hint="move it below the root, or name a wider root with --root DIR",
            where=where,
        )
    if not found.exists():
        raise SourceError(f"{dotted(where)}: no such {_noun(kind)}: {path}", hint=_near(base / path), where=where)
    if (kind == "file" and not found.is_file()) or (kind == "folder" and not found.is_dir()):
        is_a = "folder" if found.is_dir() else "file"
        raise SourceError(f"{dotted(where)}: expected a {kind}, found a {is_a}: {path}", where=where)
    return found


def _noun(kind: str) -> str:
    return "file or folder" if kind == "any" else kind


def dotted(where: Where) -> str:
    """The place in the spec as a user reads it: models.name.path."""
    return ".".join(str(part) for part in where)


def _near(path: Path) -> str:
    """What lies where the missing thing was expected."""
    if not path.parent.is_dir():
        return f"its folder {path.parent} does not exist either"
    names = sorted(entry.name for entry in path.parent.iterdir() if not entry.name.startswith("."))[:8]
    return f"{path.parent} holds: {', '.join(names)}" if names else f"{path.parent} is empty"
