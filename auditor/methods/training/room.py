"""Room: how many examples of a batch are computed at once, halved when memory runs out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from auditor.methods.attribution.perturb import out_of_memory

T = TypeVar("T")


@dataclass
class Room:
    """size: examples at once. halved: how often it was halved so far."""

    size: int
    halved: int = 0

    def within(self, attempt: Callable[[], T]) -> T:
        """The attempt's result; it reads `size` anew each time it is tried, from its beginning."""
        while True:
            found, done = self._try(attempt)
            if done:
                return found  # type: ignore[return-value]  # done: it is the attempt's own

    def _try(self, attempt: Callable[[], T]) -> tuple[T | None, bool]:
        try:
            return attempt(), True
        except Exception as error:
            if not out_of_memory(error) or self.size == 1:
                raise
        self.size, self.halved = (self.size + 1) // 2, self.halved + 1
        return None, False

    def parts(self, count: int, most: int | None = None) -> list[slice]:
        """The places of `count` examples in as few parts as hold at most `size`, and at most `most`, all about as long:
        a last part of one example would have no batch statistics.

        >>> Room(5).parts(16)
        [slice(0, 4, None), slice(4, 8, None), slice(8, 12, None), slice(12, 16, None)]
        """
        pieces = -(-count // min(self.size, most or self.size))
        return [slice(count * part // pieces, count * (part + 1) // pieces) for part in range(pieces)]


def cut(inputs: Any, part: slice) -> Any:
    """The inputs of some examples: of a tensor its rows, of a dictionary the rows of its tensors."""
    if isinstance(inputs, Mapping):
        return {name: value[part] if isinstance(value, torch.Tensor) else value for name, value in inputs.items()}
    return inputs[part]
