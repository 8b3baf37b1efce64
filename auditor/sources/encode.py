"""Encoders: raw examples (pictures, texts, rows of numbers) to what a model takes, and back to what it really saw."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from auditor.errors import SourceError
from auditor.sources.models.readout import IDS, MASK, POSITION, positions
from auditor.sources.steps import Steps
from auditor.subject import ModelRef, Task

if TYPE_CHECKING:
    import numpy as np
    import torch

RELATIVE = ("XLNet", "Cpm")
"""Tokenizers of models that are padded on the left, and do not count positions from there."""


class Encoder(Protocol):
    """Raw examples to model inputs (on the CPU), and one raw example to what can be shown of it."""

    def encode(self, raws: Sequence[Any]) -> Any: ...
    def show(self, raw: Any) -> Any: ...


@dataclass(frozen=True)
class Pictures:
    """Pillow pictures, or arrays that are already model inputs (channels x height x width floats)."""

    steps: Steps

    def encode(self, raws: Sequence[Any]) -> "torch.Tensor":
        """float32, n x channels x height x width."""
        import numpy as np
        import torch

        arrays = [raw if isinstance(raw, np.ndarray) else self.steps.normalized(self.steps.pixels(raw)) for raw in raws]
        shapes = {array.shape for array in arrays}
        if len(shapes) > 1:
            raise SourceError(
                f"pictures of different sizes in one batch: {sorted(shapes)[:3]}",
                hint="give the model `transforms: {resize: N, crop: N}` so that all come out equal",
            )
        return torch.from_numpy(np.stack(arrays).astype(np.float32))

    def show(self, raw: Any) -> "np.ndarray[Any, Any]":
        """uint8, height x width x 3: after resizing and cropping, before normalization."""
        import numpy as np

        pixels = self.steps.restored(raw) if isinstance(raw, np.ndarray) else self.steps.pixels(raw)
        return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


@dataclass(frozen=True)
class Texts:
    """Texts through the model's own tokenizer, cut at max_length and padded to the longest of the batch.

    Texts are padded on the right, whatever their tokenizer says: on the left, padding shifts the positions, and a
    text's logits would depend on its neighbours in the batch. (XLNet's positions are relative, and its head reads the
    last place: it keeps its left.) A causal model is read at its last own token; a masked model at the text's first
    mask, or at its last own token that is not special, which then becomes the mask.
    """

    tokenizer: Any
    max_length: int
    task: Task = "classification"

    def __post_init__(self) -> None:
        """Let texts be padded: by the end token where the tokenizer has no other, since padding is never read."""
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token or self.tokenizer.unk_token
        if not type(self.tokenizer).__name__.startswith(RELATIVE):
            self.tokenizer.padding_side = "right"

    def encode(self, raws: Sequence[str]) -> "dict[str, torch.Tensor]":
        """The tokenizer's tensors: input_ids, attention_mask and the like, n x tokens, and of an LM `position`, n."""
        found = self.tokenizer(
            list(raws), padding=True, truncation=True, max_length=self.max_length, return_tensors="pt"
        )
        return self._asked(dict(found)) if self.is_language_model else dict(found)

    def _asked(self, found: "dict[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
        """With the place of each text where a language model is read, and a mask there where it needs one."""
        import torch

        if self.task == "causal_lm":
            return {**found, POSITION: positions(found)}
        ids, own = found[IDS], found[MASK].bool()
        masked = (ids == self.mask_id) & own
        special = torch.isin(ids, torch.tensor(self.special_ids, dtype=ids.dtype))
        places = torch.arange(ids.shape[1])
        last = torch.where(own & ~special, places, 0).argmax(dim=1)
        position = torch.where(masked.any(dim=1), masked.int().argmax(dim=1), last)
        return {**found, IDS: ids.scatter(1, position[:, None], self.mask_id), POSITION: position}

    @property
    def is_language_model(self) -> bool:
        """Whether the model's outputs are the tokens of its vocabulary."""
        return self.task in ("causal_lm", "masked_lm")

    @property
    def mask_id(self) -> int:
        """The id of the mask. SourceError where the tokenizer has none."""
        found: int | None = self.tokenizer.mask_token_id
        if found is None:
            raise SourceError("the tokenizer of a masked language model names no mask token")
        return found

    @property
    def special_ids(self) -> list[int]:
        """The ids of the tokens that are put around texts: start, end, separator, padding."""
        names = ["bos", "eos", "sep", "cls"]
        names += ["pad"] * (self.tokenizer.pad_token != self.tokenizer.unk_token)  # unknown words are no padding
        ids = (getattr(self.tokenizer, f"{name}_token_id", None) for name in names)
        return sorted({each for each in ids if each is not None})

    def show(self, raw: str) -> str:
        """The text itself."""
        return raw

    def tokens(self, raw: str) -> tuple[str, ...]:
        """The tokens that the model sees of a text, special ones included."""
        return tuple(self.tokenizer.convert_ids_to_tokens(self.encode([raw])[IDS][0].tolist()))

    def truncated(self, raws: Sequence[str]) -> int:
        """How many of the texts are longer than max_length tokens."""
        lengths = [len(ids) for ids in self.tokenizer(list(raws), verbose=False)["input_ids"]]
        return sum(length > self.max_length for length in lengths)


@dataclass(frozen=True)
class Columns:
    """Rows of numbers, standardized by the spec's mean and std where it gives them."""

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def encode(self, raws: "Sequence[np.ndarray[Any, Any]]") -> "torch.Tensor":
        """float32, n x columns."""
        import numpy as np
        import torch

        table = np.stack(list(raws)).astype(np.float64)
        counts = {len(values) for values in (self.mean, self.std) if values}
        if not counts <= {1, table.shape[1]} or not all(value > 0 for value in self.std):
            raise SourceError(
                f"transforms: {len(self.mean)} means and {len(self.std)} deviations for {table.shape[1]} columns",
                hint="give one mean a column and one std above 0 a column, or one of each for all",
            )
        if self.mean:
            table = (table - np.asarray(self.mean)) / np.asarray(self.std or (1.0,))
        return torch.from_numpy(table.astype(np.float32))

    def show(self, raw: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """The row as it lies in the data."""
        return raw


def encoder_of(ref: ModelRef, root: Path) -> Encoder:
    """The encoder that a model's `preprocess` declares; a fine-tune takes its inputs as its parent does."""
    if ref.parent is not None:
        return encoder_of(ref.parent, root)
    if ref.modality == "image":
        return Pictures(Steps.model_validate(ref.preprocess))
    if ref.modality == "tabular":
        return Columns(tuple(ref.preprocess.get("mean") or ()), tuple(ref.preprocess.get("std") or ()))
    from auditor.sources.models.tokens import tokenizer_of

    return Texts(tokenizer_of(ref, root), int(ref.preprocess["max_length"]), ref.task)
