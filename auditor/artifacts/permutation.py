"""Permutation: how much the loss of each example rises when a feature, a cell or a token comes from other examples."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from auditor.artifacts.predictions import halving_notes
from auditor.artifacts.roots import sweep_of
from auditor.needs import Cost, Derived, Need, Sweep
from auditor.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from auditor.methods.permutation import Parts

Kind = Literal["columns", "cells", "tokens", "segments"]


@dataclass(frozen=True)
class Importances:
    """rises: float64 [n, parts], of the loss of each example, averaged over the permutations. names: of the parts.

    losses: float64 [n], without any permutation. right: whether the model's prediction is the label (classification).
    tree_right, tree_column: whether the best tree on one column is right, and the column, chosen on other rows; empty
    where there are no columns or no classes. grid: rows and columns of cells.
    """

    rises: "NDArray[np.float64]"
    names: tuple[str, ...]
    losses: "NDArray[np.float64]"
    right: "NDArray[np.bool_]"
    tree_right: "NDArray[np.bool_]"
    tree_column: "NDArray[np.int64]"
    examples: tuple[str, ...]
    groups: tuple[str, ...] = ()
    grid: tuple[int, ...] = ()
    halved: int = 0
    remarks: tuple[str, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """What the reader must know of how they were computed."""
        return (*self.remarks, *halving_notes(self.halved))


@dataclass(frozen=True)
class PermutationNeed(Derived[Importances]):
    """kind: what the parts are. size: cells a side, or tokens. names: of the columns, where the data has them."""

    artifact: ClassVar[type] = Importances
    sweep: Sweep
    rows: int
    kind: Kind
    size: int
    repeats: int
    names: tuple[str, ...] = ()
    run_seed: int = 0

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return f"permuted {self.kind}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The model and its data."""
        return {"model": self.sweep.model, "batches": self.sweep.batches}

    def cost(self) -> Cost:
        """A pass for each part and repetition, and one without."""
        parts = {"columns": max(1, len(self.names)), "cells": self.size**2, "tokens": self.size, "segments": 10}
        return Cost(forwards=self.sweep.batch_count(self.rows) * (1 + parts[self.kind] * self.repeats))

    def build(
        self, *args: Any, progress: Callable[[int, int], None] = lambda done, total: None, **upstream: Any
    ) -> Importances:
        """All rows are held at once, so that any may lend its parts to any other."""
        import torch

        from auditor.errors import NotApplicable
        from auditor.methods.permutation import Asking, losses, rises

        loader = upstream["batches"]
        batch = loader.batch(range(min(self.rows, loader.rows)))
        if len(batch.examples) < 2:
            raise NotApplicable("a permutation needs two examples at least")
        seed = self.draw_seed(self.run_seed)
        parts = self._parts(batch.inputs, loader, seed)
        asking, draw = Asking(upstream["model"], loader.batch_size), torch.Generator().manual_seed(seed)
        logits, found = rises(asking, batch.inputs, batch.labels, parts, self.repeats, draw, progress)
        classes = not batch.labels.is_floating_point()
        groups = tuple(batch.groups) if any(batch.groups) else ()
        right, column = _single(batch, groups or batch.examples, seed, self.kind == "columns" and classes)
        side = (min(self.size, batch.inputs.shape[2]), min(self.size, batch.inputs.shape[3])) \
            if self.kind == "cells" else ()  # fmt: skip
        return Importances(
            rises=found.numpy(),
            names=parts.names,
            losses=losses(logits, batch.labels).cpu().numpy(),
            right=(logits.argmax(dim=1) == batch.labels).cpu().numpy() if classes else right,
            tree_right=right,
            tree_column=column,
            examples=tuple(batch.examples),
            groups=groups,
            grid=side,
            halved=asking.halved,
            remarks=loader.remarks(len(batch.examples)),
        )

    def _parts(self, inputs: Any, loader: Any, seed: int) -> "Parts":
        from auditor.artifacts.explanations import context_of
        from auditor.errors import NotApplicable
        from auditor.methods.permutation import Segments, Words, cells, columns, frequent

        if self.kind == "columns":
            count = inputs.shape[1]
            named = self.names if len(self.names) == count else tuple(f"column {at + 1}" for at in range(count))
            return columns(inputs, named)
        if self.kind == "cells":
            return cells(inputs, self.size)
        special = context_of(loader, seed).special_ids
        if self.kind == "segments":
            return Segments(inputs, special)
        words = frequent(inputs, special, self.size)
        if not words:
            raise NotApplicable("no token stands in two of these texts and is missing in others")
        return Words(inputs, words, tuple(loader.encoder.tokenizer.convert_ids_to_tokens(list(words))), special)


def importances_of(
    subject: Subject, rows: int, grid: int, tokens: int, repeats: int, by: Literal["tokens", "segments"]
) -> PermutationNeed:
    """The importances of the parts that a subject's data has."""
    kinds: dict[str, tuple[Kind, int]] = {"tabular": ("columns", 0), "image": ("cells", grid), "text": (by, tokens)}
    kind, size = kinds[subject.model.modality]
    names = subject.data.columns if subject.data is not None and kind == "columns" else ()
    return PermutationNeed(sweep_of(subject), rows, kind, size, repeats, names, subject.runtime.seed)


def _single(
    batch: Any, units: tuple[str, ...], seed: int, wanted: bool
) -> "tuple[NDArray[np.bool_], NDArray[np.int64]]":
    import numpy as np

    from auditor.methods.single_feature import best_single_feature

    labels = batch.labels.cpu().numpy()
    if not wanted or len(set(units)) < 2 or len(set(labels.tolist())) < 2:
        return np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int64)
    return best_single_feature(batch.inputs.cpu().numpy(), labels, units, seed)
