"""Value: the frozen base of everything that crosses a border (YAML, JSON, a process)."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen, closed value: unknown keys and non-finite numbers are errors.

    Equality is by value; `canonical()` is its one JSON text, from which digests are made.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="constants", defer_build=True
    )

    def to_json(self) -> dict[str, Any]:
        """The value as plain JSON data (strings, numbers, lists, dictionaries)."""
        return self.model_dump(mode="json")


def canonical(data: Any) -> bytes:
    """The canonical JSON of plain data: sorted keys, no spaces, UTF-8, no NaN.

    Raises ValueError on a non-finite number, so that nothing non-finite passes as a number.

    >>> canonical({"b": 1, "a": [1.5, "é"]})
    b'{"a":[1.5,"\\xc3\\xa9"],"b":1}'
    """
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def sha256(data: Any) -> str:
    """The hex sha256 of the canonical JSON of plain data."""
    return hashlib.sha256(canonical(data)).hexdigest()
