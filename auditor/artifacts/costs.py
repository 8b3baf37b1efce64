"""Costs: the negative log-likelihood of each example of some data, whatever the model's task."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from auditor.errors import NotApplicable
from auditor.sources.data.batch import BatchLoader
from auditor.sources.models.loaded import LANGUAGE, LoadedModel
from auditor.subject import Subject

if TYPE_CHECKING:
    import torch

    from auditor.sources.encode import Texts

HIDDEN = 0.15
HELD_BYTES = 512 * 2**20
"""Encoded pictures or rows up to this size are kept; larger ones are encoded again at each use."""


def unpriced(subject: Subject) -> str | None:
    """Why no example has a likelihood under the subject's model, or None: for what a check's applies() says."""
    task = subject.model.task
    if subject.data is None:
        return "it needs data"
    if task == "encoder":
        return "an encoder gives no likelihood whose gradient could be taken"
    if task == "regression" and subject.model.outputs > 1:
        return f"the model has {subject.model.outputs} outputs, and the data one number an example"
    return None if task in LANGUAGE else subject.lacks_labels()


@dataclass(frozen=True)
class Costs:
    """Asks for the first `rows` examples of a loader, by their place; seed: which tokens a masked model must guess.

    Texts of a language model are read with its own tokenizer, cut at its length; their cost is the mean over their
    tokens. A masked model guesses 15% of each text's tokens, hidden all at once.
    """

    model: LoadedModel
    loader: BatchLoader
    rows: int
    seed: int

    @cached_property
    def places(self) -> tuple[int, ...]:
        """The places of the examples that have a cost: all, but for texts without a token that could be scored."""
        count = min(self.rows, self.loader.rows)
        if self.model.ref.task not in LANGUAGE:
            return tuple(range(count))
        return tuple(place for place in range(count) if self._scorable(place))

    def examples(self, places: Sequence[int]) -> tuple[str, ...]:
        """Their digests."""
        return tuple(self.loader.dataset.examples[self.loader.order[place]] for place in places)

    def groups(self, places: Sequence[int]) -> tuple[str, ...]:
        """The group of each; empty where the data has none."""
        found = tuple(self.loader.dataset.groups[self.loader.order[place]] for place in places)
        return found if any(found) else ()

    def remarks(self) -> tuple[str, ...]:
        """What a reader must know of the examples."""
        silent = min(self.rows, self.loader.rows) - len(self.places)
        said = (f"{silent} texts hold no token that could be scored and are left out.",) if silent else ()
        return (*self.loader.remarks(self.rows), *said)

    def losses(self, places: Sequence[int]) -> "torch.Tensor":
        """Nats, float32 [len(places)]."""
        from auditor.methods.importance import objective

        match self.model.ref.task:
            case "causal_lm":
                inputs = self._read(places)
                logits = self.model.token_logits(inputs)
                return objective.of_next_tokens(logits.float(), inputs["input_ids"], inputs["attention_mask"])
            case "masked_lm":
                return self._guessed(places)
            case "regression":
                outputs, targets = self._answered(places)
                return objective.of_numbers(outputs, targets, self._variance)
            case _:
                return objective.of_classes(*self._answered(places))

    def _answered(self, places: Sequence[int]) -> "tuple[torch.Tensor, torch.Tensor]":
        if self._held is not None:
            inputs, labels = self._held
            return self.model.logits(inputs[list(places)]), labels[list(places)]
        batch = self._take(places)
        return self.model.logits(batch.inputs), batch.labels

    def _take(self, places: Sequence[int]) -> Any:
        return self.loader.take([self.loader.order[place] for place in places])

    @cached_property
    def _held(self) -> "tuple[torch.Tensor, torch.Tensor] | None":
        first = self._take([0]).inputs
        if isinstance(first, dict) or first.nbytes * len(self.places) > HELD_BYTES:
            return None
        batch = self._take(self.places)
        return batch.inputs, batch.labels

    @cached_property
    def _variance(self) -> float:
        """Of a regression the mean squared residual: the variance under which its numbers are most likely."""
        import torch

        with torch.no_grad():
            size, squares = self.loader.batch_size, 0.0
            for start in range(0, len(self.places), size):
                outputs, targets = self._answered(self.places[start : start + size])
                squares += float(((outputs[:, 0] - targets).double() ** 2).sum())
        if squares == 0:
            raise NotApplicable("the regression meets every number exactly, so no likelihood has a width")
        return squares / len(self.places)

    @property
    def _words(self) -> "Texts":
        """The tokenizer of a language model's texts."""
        return cast("Texts", self.loader.encoder)

    def _read(self, places: Sequence[int]) -> "dict[str, torch.Tensor]":
        texts = [self.loader.dataset.fetch(self.loader.order[place]) for place in places]
        cut = {"padding": True, "truncation": True, "max_length": self._words.max_length}
        found = self._words.tokenizer(texts, return_tensors="pt", **cut)
        return {name: tensor.to(self.model.device) for name, tensor in found.items()}

    def _allowed(self, inputs: "dict[str, torch.Tensor]") -> "torch.Tensor":
        import torch

        ids = inputs["input_ids"]
        special = torch.tensor(self._words.special_ids, dtype=ids.dtype, device=ids.device)
        return inputs["attention_mask"].bool() & ~torch.isin(ids, special)

    def _scorable(self, place: int) -> bool:
        inputs = self._read([place])
        if self.model.ref.task == "causal_lm":
            return inputs["input_ids"].shape[1] > 1
        return bool(self._allowed(inputs).any())

    def _guessed(self, places: Sequence[int]) -> "torch.Tensor":
        import torch

        from auditor.methods.importance import objective

        inputs = self._read(places)
        ids, hidden = inputs["input_ids"], torch.zeros_like(inputs["input_ids"], dtype=torch.bool)
        allowed = self._allowed(inputs).cpu()
        for row, place in enumerate(places):  # a draw of its own for each text, whoever shares its batch
            length = int(inputs["attention_mask"][row].sum())
            draw = torch.Generator().manual_seed((self.seed + place) % 2**63)
            own = objective.hiding(ids[row : row + 1, :length].cpu(), allowed[row : row + 1, :length], HIDDEN, draw)
            hidden[row, :length] = own[0].to(hidden.device)
        masked = ids.masked_fill(hidden, self._words.mask_id)
        logits = self.model.token_logits({**inputs, "input_ids": masked})
        return objective.of_hidden_tokens(logits.float(), ids, hidden)
