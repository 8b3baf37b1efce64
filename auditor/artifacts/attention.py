"""Attention: what each head attends to, what it does to the score, and what rollout and gradients make of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.asking import Asking
from auditor.artifacts.attributions import Lines
from auditor.artifacts.explained import Explained
from auditor.artifacts.predictions import halving_notes
from auditor.needs import Cost

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MAPS = ("rollout", "gradient attention")


@dataclass(frozen=True)
class Attended:
    """The attention of n examples; columns of heads lie layer by layer, `heads` to a layer.

    modules: the layers in the order in which they run. query_dependence, entropy, first_order: float64 [n, heads in
    all], as methods/attention/heads.py defines them. redundancy: float64 [n, layers], NaN for layers of one head.
    usable: bool [n], examples with enough tokens to compare. silenced: columns of the heads that were silenced;
    effect: float64 [n, silenced], the fall of the explained score without each. first: bool [n], the half on which
    heads were chosen. maps: rollout and gradient attention, float32 [2, n, ...], zero at special tokens; lengths: own
    tokens of a text. agreement: float64 [n, 2], of both with the gradient at the input, beyond shifted maps; NaN where
    it cannot be told.
    """

    modules: tuple[str, ...]
    heads: tuple[int, ...]
    causal: bool
    query_dependence: "Floats"
    entropy: "Floats"
    redundancy: "Floats"
    first_order: "Floats"
    usable: "NDArray[np.bool_]"
    silenced: tuple[int, ...]
    effect: "Floats"
    first: "NDArray[np.bool_]"
    maps: "NDArray[np.float32]"
    lengths: "NDArray[np.int64]"
    agreement: "Floats"
    explained: Explained
    halved: int = 0

    def layer(self, values: "NDArray[Any]", at: int) -> "NDArray[Any]":
        """The columns of one layer."""
        start = sum(self.heads[:at])
        return values[:, start : start + self.heads[at]]

    def head(self, column: int) -> str:
        """The name of a column: layer and head, from 1."""
        at = 0
        while column >= self.heads[at]:
            column, at = column - self.heads[at], at + 1
        return f"layer {at + 1} head {column + 1}"

    def groups(self, rows: list[int]) -> list[str]:
        """The groups of some examples; empty if the data has none."""
        return [self.explained.groups[row] for row in rows] if self.explained.groups else []

    def notes(self) -> tuple[str, ...]:
        """What the reader must know of how they were computed, and what was left out."""
        return (*self.explained.notes(), *halving_notes(self.halved), *self._left_out())

    def _left_out(self) -> Iterator[str]:
        n, short = len(self.usable), int((~self.usable).sum())
        if short:
            yield f"{short} of {n} examples have too few tokens to compare queries; they are left out there."
        for column, name in zip(self.agreement.T, MAPS, strict=True):
            undecided = sum(value != value for value in column.tolist())
            if undecided:
                why = "fewer than four places, or a map or gradient that is the same everywhere"
                yield f"{undecided} of {n} examples say nothing of the agreement of {name}: {why}."


@dataclass(frozen=True)
class AttentionNeed(Asking[Attended]):
    """The attention of the first `rows` rows; `strongest` heads, chosen on half of them, are really silenced."""

    artifact: ClassVar[type] = Attended
    strongest: int = 12

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return "attention of each head"

    def cost(self) -> Cost:
        """One pass with its backward, and a forward without each of some heads."""
        count = self.sweep.batch_count(self.rows)
        return Cost(forwards=count * (2 + self.strongest), backwards=count)

    def build(self, *args: Any, **upstream: Any) -> Attended:
        """First all heads are looked at, then the strongest on the first half of the examples are silenced."""
        import numpy as np

        from auditor.statistics import halves

        explained: Explained = upstream["explained"]
        seed = self.draw_seed(self.run_seed)
        gathering = _Gathering(np.random.default_rng(seed))
        for inputs, targets, context in self.each(upstream):
            gathering.see(upstream["model"], inputs, targets, context)
        n = len(explained.targets)
        chosen, _ = halves(explained.groups or np.arange(n), seed)
        first = np.isin(np.arange(n), chosen)
        seen = first if first.any() else ~first  # one example alone has no half
        strength = np.abs(gathering.column("first_order")[seen]).mean(axis=0)  # of one sign in one example, not in all
        order = np.argsort(-strength, kind="stable")
        kept = tuple(int(column) for column in order[: self.strongest])
        batches = ((inputs, targets) for inputs, targets, _ in self.each(upstream))
        effect = np.concatenate(list(gathering.without(upstream["model"], batches, kept)))
        return gathering.result(explained, first, kept, effect)


@dataclass
class _Gathering:
    """What was seen so far, batch by batch."""

    rng: Any
    layers: tuple[Any, ...] = ()
    columns: dict[str, list[Any]] = field(default_factory=dict)
    lines: tuple[Lines, Lines] = field(default_factory=lambda: (Lines(), Lines()))
    causal: bool = True
    halved: int = 0

    def see(self, model: Any, inputs: Any, targets: Any, context: Any) -> None:
        """Look at one batch, in parts where memory allows no more."""
        from auditor.methods.attribution.asked import count, take
        from auditor.methods.attribution.perturb import out_of_memory

        try:
            self._look(model, inputs, targets, context)
        except Exception as error:
            if not out_of_memory(error) or count(inputs) == 1:
                raise
            self.halved += 1
            middle, end = (count(inputs) + 1) // 2, count(inputs)
            for part in (slice(0, middle), slice(middle, end)):
                self.see(model, take(inputs, part), targets[part], context)

    def _look(self, model: Any, inputs: Any, targets: Any, context: Any) -> None:
        from auditor.methods.attention.looking import looked

        found = looked(model, inputs, targets, context.special_ids, self.rng)
        self.layers, self.causal = found.layers, self.causal and found.causal
        for name, column in found.columns.items():
            self.columns.setdefault(name, []).append(column)
        for line, maps in zip(self.lines, found.maps, strict=True):
            line.add(maps, inputs)

    def column(self, name: str) -> Any:
        """One column over all batches."""
        import numpy as np

        return np.concatenate(self.columns[name])

    def without(self, model: Any, batches: Iterator[Any], kept: tuple[int, ...]) -> Iterator[Any]:
        """The fall of each batch's scores without each head."""
        import numpy as np

        from auditor.methods.attention.watching import silenced
        from auditor.methods.attribution.asked import scores

        heads = [(layer, head) for layer in self.layers for head in range(layer.heads)]
        for inputs, targets in batches:
            whole, falls = scores(model, inputs, targets), []
            for column in kept:
                with silenced(model.module, *heads[column]):
                    falls.append((whole - scores(model, inputs, targets)).double().cpu().numpy())
            yield np.stack(falls, axis=1)

    def result(self, explained: Explained, first: Any, kept: tuple[int, ...], effect: Any) -> Attended:
        """All batches in one."""
        import numpy as np

        rollout, gradient = (line.result(explained) for line in self.lines)
        names: Mapping[str, Any] = {name: self.column(name) for name in self.columns}
        return Attended(
            modules=tuple(layer.module + (f" (run {layer.run + 1})" if layer.run else "") for layer in self.layers),
            heads=tuple(layer.heads for layer in self.layers),
            causal=self.causal, silenced=kept, effect=effect, first=first, explained=explained, halved=self.halved,
            maps=np.stack([rollout.maps, gradient.maps]), lengths=rollout.lengths, **names,
        )  # fmt: skip
