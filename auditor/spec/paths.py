"""Paths: relative to the file that names them, resolved, and inside a root; a refusal prints the flag to add."""

import os
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path, PurePosixPath

from auditor.spec.places import Findings, Mark, Node, did_you_mean
from auditor.spec.references import expand, names_in

_ODD = (OSError, ValueError, RuntimeError)  # NUL bytes, names too long, circles of links


def root_of(path: Path) -> Path:
    """The root of a spec: the git repository that holds it, else its folder."""
    folder = path.resolve().parent
    return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), folder)


@dataclass(frozen=True)
class Roots:
    """The folders that paths may reach into; the first one is the audit's own."""

    root: Path
    more: tuple[Path, ...] = ()

    def holds(self, path: Path) -> bool:
        """Whether a resolved path is inside one of the roots."""
        return any(path.is_relative_to(root) for root in (self.root, *self.more))

    def relative(self, path: Path, written: str = "") -> str:
        """A resolved path as the resolved spec names it: relative to the root, in another root too (`../data`), so
        that a moved audit keeps its identity; absolute only where it was written so and lies in another root.
        """
        if Path(written).is_absolute() and not path.is_relative_to(self.root):
            return path.as_posix()
        return Path(os.path.relpath(path, self.root)).as_posix()

    def file(self, node: Node, found: Findings) -> Path | None:
        """The file that a node names, resolved and there; None with a problem added."""
        return self._there(node, "file", found)

    def name(self, node: Node, kind: str, found: Findings) -> str:
        """The path of a node (kind: file, folder or any) as the resolved spec names it; "" with a problem added.

        A path with ${env:NAME} is checked as the environment has it now, and keeps the reference.
        """
        path = self._there(node, kind, found)
        if path is None:
            return ""
        if not names_in(node.raw):
            return self.relative(path, node.raw)
        if node.raw.startswith("${env:"):
            return node.raw
        folder = self.relative(node.mark.source.path.parent)
        return str(PurePosixPath(folder) / node.raw)

    def glob(self, node: Node, found: Findings) -> str:
        """A pattern of files, relative to the root; "" with a problem where it leaves the root or matches nothing."""
        parts = PurePosixPath(node.raw).parts
        cut = next((i for i, part in enumerate(parts) if has_magic(part)), len(parts) - 1)
        head, tail = parts[:cut], parts[cut:]
        if ".." in tail or not tail:
            found.add(node.mark, f"{node.raw!r}: `..` cannot stand behind a wildcard")
            return ""
        folder = self._resolve(node, str(PurePosixPath(*head)), found)
        if folder is None:
            return ""
        pattern = str(PurePosixPath(*tail))
        matches = [path.resolve() for path in folder.glob(pattern)]
        if not matches:
            found.add(node.mark, f"no file matches {node.raw!r}", f"looked in {_shown(folder, node.mark)}")
            return ""
        for path in matches:
            if not self.holds(path):
                self._refuse(node, path, found)
                return ""
        return str(PurePosixPath(self.relative(folder, node.raw)) / pattern)

    def _there(self, node: Node, kind: str, found: Findings) -> Path | None:
        path = self._resolve(node, node.raw, found)
        if path is None:
            return None
        try:
            is_file, is_folder = path.is_file(), path.is_dir()
        except _ODD:
            is_file = is_folder = False
        if (is_file and kind != "folder") or (is_folder and kind != "file"):
            return path
        if is_file or is_folder:
            is_what = "a file" if is_file else "a folder"
            found.add(node.mark, f"expected a {kind}, but {node.raw!r} is {is_what}")
        else:
            what = "file" if kind == "file" else "folder" if kind == "folder" else "file or folder"
            found.add(node.mark, f"no such {what}: {node.raw!r}", _near(path, node.mark))
        return None

    def _resolve(self, node: Node, text: str, found: Findings) -> Path | None:
        if text.startswith("~"):
            found.add(node.mark, f"`~` is not opened in a spec, found {text!r}", "write a path relative to this file")
            return None
        try:
            path = (node.mark.source.path.parent / expand(text)).resolve()
        except KeyError:
            return None  # the reference itself was reported
        except _ODD:
            found.add(node.mark, f"not a path: {text[:60]!r}")
            return None
        if self.holds(path):
            return path
        self._refuse(node, path, found)
        return None

    def _refuse(self, node: Node, path: Path, found: Findings) -> None:
        folder = path if path.is_dir() else path.parent
        message = f"{node.raw!r} leads out of the audit's root {self.root}"
        found.add(node.mark, message, f"to allow it, add: --root {folder}")


def _shown(path: Path, mark: Mark) -> str:
    base = mark.source.path.parent
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()


def _near(path: Path, mark: Mark) -> str:
    folder = path.parent
    if not folder.is_dir():
        return (
            f"the folder {_shown(folder, mark)} does not exist either; paths are relative to the file that names them"
        )
    try:
        names = sorted(each.name for each in folder.iterdir())[:1000]
    except OSError:
        names = []
    hint = did_you_mean(path.name, names)
    return (
        hint
        if hint.startswith("did you mean")
        else f"looked in {_shown(folder, mark)}; paths are relative to this file"
    )
