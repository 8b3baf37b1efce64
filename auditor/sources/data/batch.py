"""BatchLoader: the rows of a data set in one seeded order, encoded batch by batch for one model."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from auditor.sources.data.dataset import Dataset, LeftOut
from auditor.sources.data.sampling import permuted
from auditor.sources.encode import Encoder, Texts

if TYPE_CHECKING:
    import torch

NOUNS = {"image": "pictures", "text": "texts", "tabular": "rows"}
NAMED = 5


@dataclass(frozen=True)
class Batch:
    """Rows start ... start + n - 1 of the seeded order.

    inputs: tensor, or dictionary of tensors for text. labels: n head indices (float targets for a regression).
    examples: sha256 of each row's content. groups: the unit of resampling, "" without.
    """

    start: int
    inputs: Any
    labels: "torch.Tensor"
    examples: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True)
class BatchLoader:
    """Iterates batches in the order of sha256(seed, data digest, row): the first rows are a prefix of a longer read."""

    dataset: Dataset
    encoder: Encoder
    batch_size: int
    seed: int = 0
    device: str = "cpu"

    @property
    def rows(self) -> int:
        """Rows that can be read (those left out are not among them)."""
        return self.dataset.rows

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Rows that could not be read, and why."""
        return self.dataset.left_out

    def remarks(self, rows: int) -> tuple[str, ...]:
        """What a reader of numbers over the first `rows` rows must know: rows left out, and texts that were cut."""
        name, noun, said = self.dataset.ref.name, NOUNS[self.dataset.ref.modality], list(self.unread())
        if isinstance(self.encoder, Texts):
            count = min(rows, self.rows)
            cut = self.encoder.truncated([self.dataset.fetch(row) for row in self.order[:count]])
            longer = f"longer than {self.encoder.max_length} tokens"
            said += [f"{cut} of {count:,} {noun} of {name} are {longer} and read only so far."] if cut else []
        return tuple(said)

    def unread(self) -> tuple[str, ...]:
        """The sentence about the rows that could not be read, if there are any."""
        ref, lost = self.dataset.ref, self.left_out
        if not lost:
            return ()
        names = ", ".join(row.name for row in lost[:NAMED]) + (" ..." if len(lost) > NAMED else "")
        verb = "was" if len(lost) == 1 else "were"
        total = ref.rows + ref.corrupt if ref.corrupt else self.rows + len(lost)
        noun = NOUNS[ref.modality]
        return (f"{len(lost)} of {total:,} {noun} of {ref.name} could not be read and {verb} left out: {names}.",)

    @cached_property
    def order(self) -> tuple[int, ...]:
        """The row of the data set at each place of the reading order."""
        return permuted(self.rows, f"{self.seed}:{self.dataset.ref.digest}")

    @cached_property
    def _targets(self) -> tuple[float, ...]:
        return self.dataset.targets()

    def __iter__(self) -> Iterator[Batch]:
        """All batches."""
        return self.first(self.rows)

    def first(self, rows: int) -> Iterator[Batch]:
        """The batches that hold the first `rows` rows, in order; whole batches, so the last may hold a few more."""
        for start in range(0, min(rows, self.rows), self.batch_size):
            yield self.batch(range(start, min(start + self.batch_size, self.rows)))

    def batch(self, places: range) -> Batch:
        """The batch of some places of the reading order."""
        return self.take([self.order[place] for place in places], start=places.start)

    def take(self, rows: list[int], start: int = 0) -> Batch:
        """A batch of any rows of the data set (a trainer draws its own order)."""
        import torch

        kind = torch.float32 if self.dataset.ref.task == "regression" else torch.long
        inputs = self.encoder.encode([self.dataset.fetch(row) for row in rows])
        return Batch(
            start=start,
            inputs=_moved(inputs, self.device),
            labels=torch.tensor([self._targets[row] for row in rows], dtype=kind, device=self.device),
            examples=tuple(self.dataset.examples[row] for row in rows),
            groups=tuple(self.dataset.groups[row] for row in rows),
        )

    def shown(self, rows: range | list[int]) -> list[Any]:
        """What the model really saw at some places of the order: uint8 height x width x 3 arrays, texts, or numbers."""
        return [self.encoder.show(self.dataset.fetch(self.order[place])) for place in rows]


def _moved(inputs: Any, device: str) -> Any:
    if isinstance(inputs, dict):
        return {name: tensor.to(device) for name, tensor in inputs.items()}
    return inputs.to(device)
