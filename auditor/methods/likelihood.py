"""Likelihood: what a language model gives the tokens of a text, in nats, window by window."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

LARGEST = 50_000_000
"""Logits computed at once, at most: tokens of all windows of a batch, times the vocabulary."""


@dataclass(frozen=True)
class Document:
    """The tokens of one text, and which of them are scored (not the special ones put around it)."""

    ids: Tensor
    scored: Tensor


@dataclass(frozen=True)
class Window:
    """Tokens start ... stop - 1 of a document; those from `fresh` on are scored here, the others are their context."""

    document: int
    start: int
    stop: int
    fresh: int


def windows(document: int, length: int, window: int, stride: int) -> Iterator[Window]:
    """The windows of a document of `length` tokens: each moves on by `stride`, and scores what none before it has.

    Every token but those of the first window has at least window - stride tokens of context. ValueError unless
    1 <= stride <= window.

    >>> [(w.start, w.stop, w.fresh) for w in windows(0, 10, 6, 3)]
    [(0, 6, 0), (3, 9, 6), (6, 10, 9)]
    """
    if not 1 <= stride <= window:
        raise ValueError(f"expected 1 <= stride <= window, found stride {stride}, window {window}")
    done = 0
    for start in range(0, max(length, 1), stride):
        stop = min(start + window, length)
        yield Window(document, start, stop, done)
        done = stop
        if stop == length:
            return


Piece = tuple[Window, int]
"""A window, and the place in its document that is asked for: its first fresh token, or the one that is masked."""


@dataclass
class Losses:
    """-log p of each scored token: its document, its place there, and the loss in nats."""

    document: list[Tensor] = field(default_factory=list)
    place: list[Tensor] = field(default_factory=list)
    nats: list[Tensor] = field(default_factory=list)

    def add(self, document: Tensor, place: Tensor, nats: Tensor) -> None:
        """Enter some tokens."""
        for column, values in ((self.document, document), (self.place, place), (self.nats, nats)):
            column.append(values.cpu())

    def columns(self) -> tuple[Tensor, Tensor, Tensor]:
        """document int64, place int64, nats float64, one entry a token."""
        empty = torch.empty(0, dtype=torch.int64)
        found = (torch.cat(column) if column else empty for column in (self.document, self.place, self.nats))
        document, place, nats = found
        return document, place, nats.double()


Logits = Callable[[Tensor, Tensor], Tensor]
"""ids [m, tokens] and attention mask [m, tokens] to logits [m, tokens, vocabulary]."""


def causal(
    logits: Logits, documents: Sequence[Document], window: int, stride: int, vocabulary: int, batch: int
) -> Losses:
    """-log p(x_i | x_<i within its window) of every scored token that has a token before it.

    Documents longer than the window are read in windows that overlap (see `windows`). Jelinek et al. (1977).
    """
    found = Losses()
    parts = [each for index, one in enumerate(documents) for each in windows(index, len(one.ids), window, stride)
             if one.scored[max(each.fresh, each.start + 1) : each.stop].any()]  # fmt: skip
    for part in _batches(_sorted([(each, each.fresh) for each in parts]), batch, vocabulary):
        rows = [documents[each.document].ids[each.start : each.stop] for each, _ in part]
        ids, mask = padded(rows)
        said = torch.log_softmax(logits(ids, mask)[:, :-1].float(), dim=2)
        loss = -said.gather(2, ids[:, 1:, None].to(said.device))[:, :, 0]
        for row, (each, fresh) in enumerate(part):
            places = torch.arange(max(fresh, each.start + 1), each.stop)
            places = places[documents[each.document].scored[places]]
            found.add(torch.full_like(places, each.document), places, loss[row].cpu()[places - each.start - 1])
    return found


def masked(
    logits: Logits, documents: Sequence[Document], window: int, mask_id: int, most: int, vocabulary: int, batch: int,
    generator: torch.Generator,
) -> Losses:  # fmt: skip
    """-log p(x_i | all other tokens of its window), x_i replaced by the mask, of at most `most` tokens a document.

    Which tokens of a longer document, the generator draws. Salazar et al., Masked language model scoring (ACL 2020).
    """
    found, todo = Losses(), list[Piece]()
    for index, one in enumerate(documents):
        places = one.scored.nonzero()[:, 0]
        chosen = places[torch.randperm(len(places), generator=generator)[:most]].sort().values
        parts = list(windows(index, len(one.ids), window, window))
        todo += [(parts[place // window], place) for place in chosen.tolist()]
    for part in _batches(_sorted(todo), batch, vocabulary):
        rows = [documents[each.document].ids[each.start : each.stop].clone() for each, _ in part]
        at = torch.tensor([place - each.start for each, place in part])
        truth = torch.stack([row[place] for row, place in zip(rows, at, strict=True)])
        for row, place in zip(rows, at, strict=True):
            row[place] = mask_id
        whole = logits(*padded(rows))
        said = torch.log_softmax(whole[torch.arange(len(part)), at.to(whole.device)].float(), dim=1).cpu()
        places = torch.tensor([place for _, place in part])
        owners = torch.tensor([each.document for each, _ in part])
        found.add(owners, places, -said.gather(1, truth[:, None])[:, 0])
    return found


def padded(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Ids and attention mask of rows of different lengths, filled up on the right."""
    ids = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    return ids, (torch.arange(ids.shape[1])[None] < lengths[:, None]).long()


def _sorted(todo: list[Piece]) -> list[Piece]:
    """By length: windows of equal lengths together need little padding."""
    return sorted(todo, key=lambda piece: piece[0].stop - piece[0].start)


def _batches(todo: Sequence[Piece], batch: int, vocabulary: int) -> Iterator[Sequence[Piece]]:
    """Pieces of a list sorted by length, of at most `batch` windows and LARGEST logits."""
    start = 0
    while start < len(todo):
        stop = start + 1
        while stop < min(len(todo), start + batch):
            window = todo[stop][0]
            if (stop + 1 - start) * (window.stop - window.start) * vocabulary > LARGEST:
                break
            stop += 1
        yield todo[start:stop]
        start = stop
