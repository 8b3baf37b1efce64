"""The store: artifacts by content address, each a file written whole or not at all, checked at every read."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import Any, TypeVar

from auditor.errors import StoreError
from auditor.execute.codec import decode, encode

T = TypeVar("T")

_MAGIC = b"auditor-artifact 1\n"
_DIGEST = 64
_NEW = ".new-"
_STALE_SECONDS = 3600
_ABANDONED_SECONDS = 7 * 24 * 3600
_MAX_JSON = 256 * 1024 * 1024


class MissingError(StoreError):
    """The store does not hold the key (any more)."""


class CorruptError(MissingError):
    """An entry did not match its digest, or could not be decoded; it was removed, so that it is computed again."""


class Store:
    """A folder of artifacts. Layout: objects/ab/abcd...: a magic line, the sha256 of the rest, JSON, safetensors.

    Writers do not lock: an entry is written beside its place, flushed to disk and renamed over it, so readers and
    other writers see a whole entry or none, also after a kill. Equal keys mean equal content: the last writer wins.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._objects = root / "objects"
        self._seconds = root / "seconds"

    def has(self, key: str) -> bool:
        """Whether there is an entry; it is checked when it is read."""
        return self._path(key).is_file()

    __contains__ = has

    def keys(self) -> frozenset[str]:
        """Every key. StoreError when the folder cannot be read."""
        try:
            return frozenset(_entries(self._objects))
        except OSError as error:
            raise StoreError(
                f"{self._objects}: cannot be read: {error.strerror}", "check the folder given with --cache"
            ) from error

    def put(self, key: str, artifact: object) -> None:
        """Store an artifact. StoreError when the disk refuses; TypeError when it is not plain data and arrays."""
        from safetensors.numpy import save

        plain, arrays = encode(artifact)
        text = json.dumps(plain, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        parts = (len(text).to_bytes(8, "big"), text, save({name: each.copy("C") for name, each in arrays.items()}))
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        self._write(self._path(key), (_MAGIC, digest.hexdigest().encode(), *parts))
        shutil.rmtree(self.scratch(key), ignore_errors=True)

    def get(self, key: str, cls: type[T]) -> T:
        """The artifact. MissingError when there is none; CorruptError, and the entry is gone, when it is not sound."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise MissingError(f"{path}: not in the store") from None
        except OSError as error:
            raise StoreError(
                f"{path}: cannot be read: {error.strerror}", "check the folder given with --cache"
            ) from error
        try:
            return _read(content, cls)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
            path.unlink(missing_ok=True)
            raise CorruptError(f"{path}: {error}", "the entry was removed; it will be computed again") from error

    def scratch(self, key: str) -> Path:
        """The folder where the build of a key may keep what a later build goes on from; gone once it is stored."""
        return self.root / "scratch" / key[:2] / key

    def seconds(self, key: str) -> float | None:
        """How long a job took when it last ran on this store; None if it never did."""
        try:
            return float((self._seconds / key[:2] / key).read_text())
        except (OSError, ValueError):
            return None

    def took(self, key: str, seconds: float) -> None:
        """Remember how long a job took."""
        self._write(self._seconds / key[:2] / key, (f"{seconds:.3f}".encode(),))

    def prepare(self) -> None:
        """Make the folder, and remove what killed writers left over an hour ago and killed builds over a week ago.

        StoreError if it is not ours.
        """
        self._write(self.root / "version", (_MAGIC,))
        for path in self.root.glob(f"*/*/{_NEW}*"):
            with contextlib.suppress(OSError):  # another run removes it too
                if time() - path.stat().st_mtime > _STALE_SECONDS:
                    path.unlink()
        for folder in self.root.glob("scratch/*/*"):
            with contextlib.suppress(OSError):  # as above
                if time() - folder.stat().st_mtime > _ABANDONED_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)

    def _path(self, key: str) -> Path:
        if not (key.isascii() and key.isalnum()):
            raise StoreError(f"{key!r} is not a content address")
        return self._objects / key[:2] / key

    def _write(self, path: Path, parts: tuple[Any, ...]) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=_NEW, dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.writelines(parts)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
            _flush_folder(path.parent)
        except OSError as error:
            raise StoreError(
                f"{path}: cannot be written: {error.strerror}",
                "free some space, or name another folder with --cache; nothing already stored is lost",
            ) from error


def _entries(folder: Path) -> Iterator[str]:
    for shelf in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # just emptied by somebody, or not ours
            yield from (path.name for path in shelf.iterdir() if not path.name.startswith("."))


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(content: bytes, cls: type[T]) -> T:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    start = len(_MAGIC) + _DIGEST
    digest, rest = content[len(_MAGIC) : start], memoryview(content)[start:]
    if not content.startswith(_MAGIC):
        raise ValueError("not an artifact of this version")
    if hashlib.sha256(rest).hexdigest().encode() != digest:
        raise ValueError("the content does not match its digest")
    length = int.from_bytes(rest[:8], "big")
    if length > min(_MAX_JSON, len(rest)):
        raise ValueError(f"a JSON part of {length} bytes")
    try:
        arrays = load(bytes(rest[8 + length :]))
    except SafetensorError as error:
        raise ValueError(f"its arrays cannot be read: {error}") from error
    return decode(json.loads(bytes(rest[8 : 8 + length])), arrays, cls)
