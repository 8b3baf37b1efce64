"""Randomization: how far maps stay what they were while the network loses what it learned."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.attributions import Attributions, Lines
from auditor.artifacts.explained import Explained, ExplainedProbe
from auditor.artifacts.explanations import batches_of, context_of
from auditor.needs import Cost, Derived, Need, Sweep

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

STAGES = 7
"""Most stages of a cascade, as methods/trust/randomize.py counts them."""


@dataclass(frozen=True)
class Randomized:
    """Signed rank correlations between the maps of a network and those of its randomized copies.

    layers: names, from input to output. randomized: layers random at each of s stages, from the top. cascade, alone
    float64 [m, s, n]: of m methods and n examples, with the layers from the top down to a stage random, and with only
    those between a stage and the one before. structure: SSIM, like cascade; NaN for maps that are no pictures.
    insensitive [m, n]: share of the cascade that each example passes; top: the stage with the top fifth random. chance
    [m, n]: between two fully randomized copies. edges [m, n]: with the edges of the picture; NaN where there is none.
    empty: bool [m, n], maps of the trained network without order. lost: int64 [m, s], randomized maps without order;
    their correlation counts as 0.
    """

    methods: tuple[str, ...]
    layers: tuple[str, ...]
    randomized: tuple[int, ...]
    cascade: "Floats"
    alone: "Floats"
    structure: "Floats"
    insensitive: "Floats"
    top: int
    chance: "Floats"
    edges: "Floats"
    empty: "NDArray[np.bool_]"
    lost: "NDArray[np.int64]"
    explained: Explained

    def columns(self, method: int, rows: list[int]) -> dict[tuple[str, str], tuple[float, ...]]:
        """Values of some examples for one method, by metric and what it is of."""
        import numpy as np

        name, cascade = self.methods[method], self.cascade[method][:, rows]
        found: dict[tuple[str, str], Any] = {
            ("insensitive_share", name): self.insensitive[method, rows],
            ("similarity_top", name): cascade[self.top],
            ("similarity", name): cascade[-1],
            ("similarity", f"{name}, two randomized networks"): self.chance[method, rows],
            ("similarity_to_edges", name): self.edges[method, rows],
        }
        return {of: tuple(column.tolist()) for of, column in found.items() if not np.isnan(column).any()}

    def ends(self, method: int, rows: Sequence[int]) -> tuple[float | None, ...]:
        """Means over examples, fully randomized: correlation, by chance, structure, with edges; None: not measured."""
        ends = (self.cascade[method, -1], self.chance[method], self.structure[method, -1], self.edges[method])
        means = [float(column[list(rows)].mean()) for column in ends]
        return tuple(round(mean, 3) if mean == mean else None for mean in means)


@dataclass(frozen=True)
class RandomizedNeed(Derived[Randomized]):
    """Cascading and independent randomization of the first `rows` rows, for some methods at their defaults."""

    artifact: ClassVar[type] = Randomized
    version: ClassVar[int] = 2

    sweep: Sweep
    rows: int
    methods: tuple[str, ...]
    classes: tuple[str, ...] = ()
    run_seed: int = 0

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return f"maps of randomized networks ({', '.join(self.methods)})"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The model, its data, and what the model said of the examples."""
        explained = ExplainedProbe(self.sweep, rows=self.rows, classes=self.classes)
        return {"model": self.sweep.model, "batches": self.sweep.batches, "explained": explained}

    def cost(self) -> Cost:
        """For methods of one pass: a forward and a backward a batch, method and randomized copy."""
        count = self.sweep.batch_count(self.rows) * (2 * STAGES + 2) * len(self.methods)
        return Cost(forwards=count, backwards=count)

    def build(self, *args: Any, **upstream: Any) -> Randomized:
        """All stages, in place on copies; the model itself is not touched."""
        desk = _Desk(self, upstream["model"], upstream["batches"], upstream["explained"])
        return desk.randomized()


class _Desk:
    """One model, its examples, and the copies of it that lose their weights."""

    def __init__(self, need: RandomizedNeed, model: Any, loader: Any, explained: Explained) -> None:
        self.need, self.model, self.explained = need, model, explained
        self.batches = list(batches_of(loader, explained))
        self.seed = need.draw_seed(need.run_seed)
        self.context = context_of(loader, self.seed)

    def randomized(self) -> Randomized:
        """Everything."""
        import numpy as np

        from auditor.methods.trust.randomize import layers_in_order, passed, stages, top_stage

        own = [self.maps(self.model, method) for method in self.need.methods]
        names = tuple(layer.name for layer in layers_in_order(self.model.module, lambda: self.run(self.model, 1)))
        counts = stages(len(names))
        cascade, structure, full = self.cascade(own, counts)
        found = np.stack([[value for value, _ in row] for row in cascade])
        chance = [_correlated(a, b)[0] for a, b in zip(full, self.other(), strict=True)]
        edges = [self.to_edges(each) for each in own]
        return Randomized(
            methods=self.need.methods, layers=names, randomized=counts,
            cascade=found,
            insensitive=np.stack([passed(each, counts) for each in found]),
            top=top_stage(len(names)),
            alone=np.stack(self.alone(own, counts)), structure=np.stack(structure),
            chance=np.stack(chance), edges=np.stack(edges),
            empty=np.stack([each.without_order for each in own]),
            lost=np.array([[flat for _, flat in row] for row in cascade], dtype=np.int64),
            explained=self.explained,
        )  # fmt: skip

    def cascade(self, own: list[Attributions], counts: tuple[int, ...]) -> tuple[list[Any], list[Any], list[Any]]:
        """Correlations and structure [m][s], and the maps of the fully randomized copy."""
        from auditor.methods.trust.randomize import randomize

        model, layers = self.copied()
        generator, done = self.generator(0), 0
        found: list[list[Any]] = [[] for _ in own]
        structure: list[list[Any]] = [[] for _ in own]
        last: list[Attributions] = []
        for count in counts:
            randomize(layers[done:count], generator)
            done = count
            last = self.again(model)
            for place, (before, after) in enumerate(zip(own, last, strict=True)):
                found[place].append(_correlated(before, after))
                structure[place].append(_structure(before, after))
        return found, structure, last

    def alone(self, own: list[Attributions], counts: tuple[int, ...]) -> list[list[Any]]:
        """Correlations [m][s] when only the layers of one stage are random."""
        from auditor.methods.trust.randomize import randomize

        found: list[list[Any]] = [[] for _ in own]
        for number, (start, stop) in enumerate(zip((0, *counts), counts, strict=False)):
            model, layers = self.copied()
            randomize(layers[start:stop], self.generator(2 + number))
            for place, (before, after) in enumerate(zip(own, self.again(model), strict=True)):
                found[place].append(_correlated(before, after)[0])
        return found

    def other(self) -> list[Attributions]:
        """The maps of a second, fully randomized copy."""
        from auditor.methods.trust.randomize import randomize

        model, layers = self.copied()
        randomize(layers, self.generator(1))
        return self.again(model)

    def copied(self) -> tuple[Any, Any]:
        """A copy of the model, and its layers from the top."""
        from auditor.methods.trust.randomize import layers_in_order

        model = replace(self.model, module=copy.deepcopy(self.model.module))
        return model, layers_in_order(model.module, lambda: self.run(model, 1))[::-1]

    def again(self, model: Any) -> list[Attributions]:
        """The maps of a randomized copy, its BatchNorm statistics measured anew."""
        from auditor.methods.trust.randomize import reestimate

        reestimate(model.module, lambda: self.feed(model))
        return [self.maps(model, method) for method in self.need.methods]

    def run(self, model: Any, batches: int) -> None:
        """Feed the first batches to a model."""
        for inputs, _ in self.batches[:batches]:
            model.logits(inputs)

    def feed(self, model: Any) -> None:
        """Feed every batch to a model, but for a single example behind others: it has no statistics."""
        several = [inputs for inputs, targets in self.batches if len(targets) > 1]
        for inputs in several or [inputs for inputs, _ in self.batches]:
            model.logits(inputs)

    def maps(self, model: Any, method: str) -> Attributions:
        """The maps of one method, all examples."""
        from auditor.methods.attribution.explain import method_of

        lines, made = Lines(), method_of(method)
        for inputs, targets in self.batches:
            lines.add(made.maps(model, inputs, targets, self.context), inputs)
        return lines.result(self.explained)

    def to_edges(self, own: Attributions) -> Any:
        """Correlation with the edges of each picture, brought to the map's resolution; NaN for what is no picture."""
        import numpy as np
        import torch
        from torch.nn import functional

        if own.maps.ndim != 3:
            return np.full(len(own.maps), np.nan)
        edges = torch.from_numpy(self.maps(self.model, "edges").maps)[:, None]
        small = functional.adaptive_avg_pool2d(edges, own.maps.shape[1:])[:, 0].numpy()
        return _correlated(own, replace(own, maps=small))[0]

    def generator(self, stream: int) -> Any:
        """Independent draws by number."""
        import torch

        return torch.Generator().manual_seed((self.seed + stream) % 2**63)


def _correlated(a: Attributions, b: Attributions) -> tuple[Any, int]:
    """Correlation of each example, and how many maps of `b` have no order where those of `a` have one."""
    from auditor.methods.similarity.ranks import signed_rank_correlation

    found = signed_rank_correlation(a.maps, b.maps, a.lengths)
    return found.values, int((b.without_order & ~a.without_order).sum())


def _structure(a: Attributions, b: Attributions) -> Any:
    import numpy as np
    import torch

    from auditor.methods.similarity.ssim import ssim

    if a.maps.ndim != 3:
        return np.full(len(a.maps), np.nan)
    return ssim(torch.from_numpy(a.maps), torch.from_numpy(b.maps)).numpy()
