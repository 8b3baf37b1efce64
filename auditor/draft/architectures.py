"""Which torchvision architecture a state dict belongs to, by the names and shapes of its tensors, without torch."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from auditor.values import sha256

HEADS = frozenset({"fc", "classifier", "head", "heads", "aux1", "aux2", "AuxLogits"})
TABLE = Path(__file__).with_name("architectures.json")


def guess(tensors: Mapping[str, Sequence[int]]) -> str | None:
    """The architecture whose tensors these are, its head aside; None when no torchvision classifier has them."""
    return table().get(fingerprint(tensors))


def fingerprint(tensors: Mapping[str, Sequence[int]]) -> str:
    """sha256 (16 digits) of the sorted names and shapes outside the classification head.

    Counters of batch normalization are left out: old files lack them.
    """
    body = sorted([name, list(shape)] for name, shape in tensors.items() if _in_body(name))
    return sha256(body)[:16]


@cache
def table() -> dict[str, str]:
    """Fingerprint -> architecture, of all torchvision classifiers; the file is made by tests/draft/make_table.py."""
    found: dict[str, str] = json.loads(TABLE.read_text(encoding="utf-8"))
    return found


def _in_body(name: str) -> bool:
    return name.partition(".")[0] not in HEADS and not name.endswith("num_batches_tracked")
