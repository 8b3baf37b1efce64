"""Permutation: parts of an example taken from other examples, and how much worse the model then does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from auditor.errors import AuditorError
from auditor.methods.attribution.asked import Asked, count, take
from auditor.methods.attribution.perturb import out_of_memory

SEGMENTS = 10


class Parts(Protocol):
    """The parts of a set of examples; one part of each can be taken from another example."""

    @property
    def names(self) -> tuple[str, ...]:
        """A word for each part."""

    def swapped(self, rows: Tensor, partners: Tensor, part: int) -> Any:
        """The inputs of `rows`, with one part of each as its partner has it."""


@dataclass(frozen=True)
class Regions:
    """Columns of a table [n, columns], or regions of pictures [n, c, h, w]. masks: bool [parts, ...] of one example."""

    inputs: Tensor
    masks: Tensor
    names: tuple[str, ...]

    def swapped(self, rows: Tensor, partners: Tensor, part: int) -> Tensor:
        """The rows, with the masked values of their partners."""
        return torch.where(self.masks[part], self.inputs[partners], self.inputs[rows])


@dataclass(frozen=True)
class _Content:
    """The tokens of texts that are neither padding nor special: their places come first in `order`, `size` of them."""

    ids: Tensor
    order: Tensor
    size: Tensor

    @classmethod
    def of(cls, inputs: Mapping[str, Tensor], special: tuple[int, ...]) -> "_Content":
        ids = inputs["input_ids"]
        own = torch.ones_like(ids, dtype=torch.bool)
        if "attention_mask" in inputs:
            own = inputs["attention_mask"].bool()
        own = own & ~torch.isin(ids, torch.tensor(special, dtype=ids.dtype, device=ids.device))
        order = own.long().argsort(dim=1, descending=True, stable=True)
        return cls(ids, order, own.sum(dim=1))

    def tokens(self, rows: Tensor) -> Tensor:
        """Their ids in order, [m, t]; what stands beyond `size` is no content."""
        return self.ids[rows].gather(1, self.order[rows])

    def inside(self, rows: Tensor) -> Tensor:
        """bool [m, t]: which places of tokens() are content."""
        return torch.arange(self.ids.shape[1], device=self.ids.device) < self.size[rows, None]

    def opposite(self, rows: Tensor, others: Tensor) -> Tensor:
        """For each place of a text the place at the same share of the other text's length, [m, t]."""
        places = torch.arange(self.ids.shape[1], device=self.ids.device)
        share = (places[None] + 0.5) / self.size[rows, None].clamp(min=1)
        found = (share * self.size[others, None]).long()
        return found.clamp(max=self.ids.shape[1] - 1)

    def written(self, inputs: Mapping[str, Tensor], rows: Tensor, tokens: Tensor) -> dict[str, Tensor]:
        """The inputs of `rows` with their content replaced."""
        kept = torch.where(self.inside(rows), tokens, self.tokens(rows))
        fresh = self.ids[rows].scatter(1, self.order[rows], kept)
        return {name: fresh if name == "input_ids" else value[rows] for name, value in inputs.items()}


@dataclass(frozen=True)
class Words:
    """Tokens by identity: afterwards a text has the token where, and only if, its partner has it.

    Places correspond by their share of the text. Where a text had the token itself it takes what its partner has
    there, so what is permuted over the texts is exactly the presence of the token.
    """

    inputs: Mapping[str, Tensor]
    words: tuple[int, ...]
    names: tuple[str, ...]
    special: tuple[int, ...]

    def swapped(self, rows: Tensor, partners: Tensor, part: int) -> dict[str, Tensor]:
        """The texts, with one token where their partners have it."""
        content, word = _Content.of(self.inputs, self.special), self.words[part]
        own, theirs = content.tokens(rows), content.tokens(partners)
        across = content.opposite(rows, partners)
        fresh = torch.where(own == word, theirs.gather(1, across), own)
        there = ((theirs == word) & content.inside(partners)).long()
        landed = torch.zeros_like(there).scatter_add(1, content.opposite(partners, rows), there) > 0
        return content.written(self.inputs, rows, torch.where(landed, word, fresh))


@dataclass(frozen=True)
class Segments:
    """Texts cut into equal shares of their length: the tokens of one share come from the same share of the partner."""

    inputs: Mapping[str, Tensor]
    special: tuple[int, ...]
    names: tuple[str, ...] = tuple(f"tenth {number + 1} of the text" for number in range(SEGMENTS))

    def swapped(self, rows: Tensor, partners: Tensor, part: int) -> dict[str, Tensor]:
        """The texts, with one share of their partners."""
        content = _Content.of(self.inputs, self.special)
        own, places = content.tokens(rows), torch.arange(content.ids.shape[1], device=content.ids.device)
        share = places[None] * len(self.names) // content.size[rows, None].clamp(min=1)
        theirs = content.tokens(partners).gather(1, content.opposite(rows, partners))
        usable = (share == part) & (content.size[partners, None] > 0)
        return content.written(self.inputs, rows, torch.where(usable, theirs, own))


def cells(inputs: Tensor, grid: int) -> Regions:
    """Pictures [n, c, h, w] cut into a grid x grid of cells (fewer where they have fewer pixels)."""
    height, width = inputs.shape[2:]
    down, across = min(grid, height), min(grid, width)
    row = torch.arange(height, device=inputs.device) * down // height
    column = torch.arange(width, device=inputs.device) * across // width
    place = row[:, None] * across + column
    masks = torch.stack([place == part for part in range(down * across)])[:, None]
    return Regions(inputs, masks, tuple(f"row {r + 1}, column {c + 1}" for r in range(down) for c in range(across)))


def columns(inputs: Tensor, names: tuple[str, ...]) -> Regions:
    """Each column of a table by itself."""
    return Regions(inputs, torch.eye(inputs.shape[1], dtype=torch.bool, device=inputs.device), names)


def frequent(inputs: Mapping[str, Tensor], special: tuple[int, ...], most: int) -> tuple[int, ...]:
    """The token ids that stand in the most texts, but not in nine of ten (what all have cannot be permuted).

    Ties go to the smaller id; a token must stand in two texts.
    """
    content = _Content.of(inputs, special)
    rows = torch.arange(len(content.ids), device=content.ids.device)
    tokens, inside = content.tokens(rows), content.inside(rows)
    texts: dict[int, int] = {}
    for line, own in zip(tokens.cpu(), inside.cpu(), strict=True):
        for token in set(line[own].tolist()):
            texts[token] = texts.get(token, 0) + 1
    kept = [token for token, number in texts.items() if 2 <= number <= 0.9 * len(tokens)]
    return tuple(sorted(kept, key=lambda token: (-texts[token], token))[:most])


def losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each row for whole-number labels, else squared error; float64 [n]."""
    if labels.is_floating_point():
        return (logits[:, 0].double() - labels.double()) ** 2
    return functional.cross_entropy(logits.double(), labels, reduction="none")


@dataclass
class Asking:
    """Forwards without gradients in batches that halve when memory runs out; `halved` counts how often they did."""

    model: Asked
    batch_size: int
    halved: int = 0

    def logits(self, total: int, inputs: Callable[[Tensor], Any], device: Any = "cpu") -> Tensor:
        """Logits [total, outputs] of the inputs that `inputs(rows)` makes when they are needed. They must be finite."""
        found: list[Tensor] = []
        start = 0
        while start < total:
            rows = torch.arange(start, min(total, start + self.batch_size), device=device)
            try:
                with torch.no_grad():
                    found.append(self.model.logits(inputs(rows)).float())
            except Exception as error:
                if not out_of_memory(error) or self.batch_size == 1:
                    raise
                self.batch_size, self.halved = (self.batch_size + 1) // 2, self.halved + 1
                continue
            start += len(rows)
        every = torch.cat(found)
        if not torch.isfinite(every).all():
            raise AuditorError(
                "the model's logits are not finite (NaN or infinite)", "Check weights and preprocessing."
            )
        return every


def _swap(parts: Parts, order: Tensor, part: int) -> Callable[[Tensor], Any]:
    return lambda rows: parts.swapped(rows, order[rows], part)


def rises(
    asking: Asking, inputs: Any, labels: Tensor, parts: Parts, repeats: int, draw: torch.Generator,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Logits [n, outputs], and how much the loss of each example rises when a part is permuted, float64 [n, parts].

    A part is permuted over all examples `repeats` times, and each example's rises are averaged. The permutations are
    the same for all parts, so that parts are compared under the same luck.
    Breiman, Machine Learning 45 (2001). Fisher, Rudin and Dominici, JMLR 20 (2019).
    """
    total, device = count(inputs), labels.device
    logits = asking.logits(total, lambda rows: take(inputs, rows), device)
    base = losses(logits, labels)
    orders = [torch.randperm(total, generator=draw).to(device) for _ in range(repeats)]
    found = torch.zeros(total, len(parts.names), dtype=torch.float64)
    for part in range(len(parts.names)):
        for order in orders:
            said = asking.logits(total, _swap(parts, order, part), device)
            found[:, part] += ((losses(said, labels) - base) / repeats).cpu()
        tell(part + 1, len(parts.names))
    return logits, found
