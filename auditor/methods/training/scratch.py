"""Scratch: what a run writes down of itself on the way, so that a killed one goes on from there."""

import hashlib
import io
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

_DIGEST = 64


@dataclass(frozen=True)
class Scratch:
    """A folder of named trees (dictionaries and lists of tensors and plain values), each whole or not there at all.

    An entry is written beside its place and renamed over it. One that does not match its digest, as after the
    machine itself went down, counts as not there. Whoever removes the folder meanwhile loses nothing but time.
    """

    folder: Path

    def write(self, name: str, tree: Any) -> None:
        """Write an entry, over an older one."""
        held = io.BytesIO()
        torch.save(tree, held)
        content = held.getbuffer()
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = self.folder / f".new-{os.getpid()}"
        with suppress(FileNotFoundError):  # another process has just finished this very run and removed the folder
            with beside.open("wb") as file:
                file.write(hashlib.sha256(content).hexdigest().encode())
                file.write(content)
            beside.replace(self.folder / name)

    def read(self, name: str) -> Any | None:
        """An entry, its tensors on the processor; None if there is none, or it is not whole."""
        try:
            found = (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        content = memoryview(found)[_DIGEST:]
        if hashlib.sha256(content).hexdigest().encode() != found[:_DIGEST]:
            return None
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
