"""Paths of a resolved spec: below the audit's root and never out of it, or in a root that was allowed."""

from pathlib import Path, PurePosixPath

from auditor.errors import RefusedError, SourceError
from auditor.spec.references import expand

Where = tuple[str | int, ...]


def dotted(where: Where) -> str:
    """The place in the spec as a user reads it: models.name.path."""
    return ".".join(str(part) for part in where)


def inside(root: Path, path: str, where: Where, kind: str = "file") -> Path:
    """The existing file or folder that a spec names, resolved; ${env:NAME} is replaced by the environment's value.

    A relative path, and each link on its way, stays below `root`. An absolute one was accepted by the spec's reader,
    which knows the further roots. kind: "file", "folder" or "any". Raises SourceError when it is missing or of another
    kind, and RefusedError when it leads out of the root.
    """
    base = root.resolve()
    plain = Path(expand(path))
    found = (base / plain).resolve()
    if not plain.is_absolute():
        _require_below(found, (base,), path, where)
    if not found.exists():
        raise SourceError(f"{dotted(where)}: no such {_noun(kind)}: {path}", hint=_near(base / plain), where=where)
    if (kind == "file" and not found.is_file()) or (kind == "folder" and not found.is_dir()):
        is_a = "folder" if found.is_dir() else "file"
        raise SourceError(f"{dotted(where)}: expected a {kind}, found a {is_a}: {path}", where=where)
    return found


def named(root: Path, path: str, where: Where, kind: str = "file") -> Path:
    """As inside(), for a path that the resolved spec itself names: one that begins with `..` is allowed too.

    The spec's reader resolves every path it reads and writes `..` only for what it accepted in a further root.
    """
    outside = PurePosixPath(path).parts[:1] == ("..",)
    return inside(root, str((root / path).resolve()) if outside else path, where, kind)


def below(root: Path, folder: Path, path: Path, where: Where) -> Path:
    """A file found in an accepted folder, resolved; it may be missing.

    RefusedError when it is a link that leads out of that folder and the root; SourceError for a folder, a pipe or a
    device in its place, which could be read without end.
    """
    found = path.resolve()
    _require_below(found, (root.resolve(), folder.resolve()), path.name, where)
    if found.exists() and not found.is_file():
        what = "a folder" if found.is_dir() else "something else (a pipe, a device)"
        raise SourceError(f"{dotted(where)}: expected {path.name} to be a file, found {what}", where=where)
    return found


def _require_below(found: Path, bases: tuple[Path, ...], path: str, where: Where) -> None:
    if not any(found.is_relative_to(base) for base in bases):
        raise RefusedError(
            f"{dotted(where)}: {path!r} leads out of the audit's root ({bases[0]})",
            hint=f"move it below the root, or allow the folder with --root {found.parent}",
            where=where,
        )


def _noun(kind: str) -> str:
    return "file or folder" if kind == "any" else kind


def _near(path: Path) -> str:
    """What lies where the missing thing was expected."""
    if not path.parent.is_dir():
        return f"its folder {path.parent} does not exist either"
    names = sorted(entry.name for entry in path.parent.iterdir() if not entry.name.startswith("."))[:8]
    return f"{path.parent} holds: {', '.join(names)}" if names else f"{path.parent} is empty"
