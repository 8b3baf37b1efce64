"""Maximized: inputs that make units of a layer as active as can be, beside the examples that do so best."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.predictions import classes_of
from auditor.artifacts.roots import sweep_of
from auditor.needs import Cost, Derived, Need, Sweep
from auditor.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from auditor.methods.activation_maximization import Climb

LOGITS, AUTO = "logits", "auto"
BEST = 2
"""Examples shown of each unit."""
LENGTH = 8
"""About so many tokens has the text that is made."""


@dataclass(frozen=True)
class Made:
    """One unit: what was reached and by which input, and the largest, spread and best examples of the data.

    picture: uint8 [h, w, 3], or empty for texts; words: the tokens nearest to the embeddings found, and `spoken` what
    the unit does on these tokens themselves. natural: the best examples, as pictures or texts.
    """

    name: str
    reached: float
    best: float
    spread: float
    picture: "NDArray[np.uint8]"
    pictures: "tuple[NDArray[np.uint8], ...]" = ()
    words: tuple[str, ...] = ()
    spoken: float = 0.0
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Maximized:
    """Units of `layer` (or the logits), over `examples` examples; flat: units left out since nothing moves them."""

    layer: str
    made: tuple[Made, ...]
    examples: int
    flat: int = 0
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class MaximizedNeed(Derived[Maximized]):
    """units: how many, drawn by the seed from those that vary over the first `rows` rows."""

    artifact: ClassVar[type] = Maximized
    sweep: Sweep
    rows: int
    layer: str
    units: int
    steps: int
    smooth: float
    classes: tuple[str, ...] = ()
    run_seed: int = 0

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return f"inputs that activate units of {self.layer}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The model and its data."""
        return {"model": self.sweep.model, "batches": self.sweep.batches}

    def cost(self) -> Cost:
        """A pass over the data, and one example forth and back for each step."""
        climbed = self.units * self.steps
        return Cost(forwards=self.sweep.batch_count(self.rows) + climbed, backwards=climbed)

    def build(
        self, *args: Any, progress: Callable[[int, int], None] = lambda done, total: None, **upstream: Any
    ) -> Maximized:
        """Unit by unit, each from a seed of its own."""
        import numpy as np

        from auditor.artifacts.aimed import aimed
        from auditor.artifacts.targets import Aim
        from auditor.errors import NotApplicable
        from auditor.methods.activation_maximization import Climb

        model, loader = upstream["model"], upstream["batches"]
        layer, natural = _natural(model, loader, self.rows, self.layer)
        moving = np.flatnonzero(natural.std(axis=0) > 0)
        if not len(moving):
            raise NotApplicable(f"no unit of {layer} changes over the data")
        seed = self.draw_seed(self.run_seed)
        same = replace(self, steps=1, smooth=0.0).draw_seed(self.run_seed)  # another climb is of the same units
        drawn = np.sort(np.random.default_rng(same).permutation(moving)[: self.units])
        climb, made = Climb(self.steps, smooth=self.smooth), []
        for number, unit in enumerate(drawn.tolist()):
            aim = Aim("output", index=unit) if layer == LOGITS else Aim("unit", layer, unit)
            named = layer == LOGITS and unit < len(self.classes)
            name = self.classes[unit] if named else f"unit {unit}"
            climber = _Climber(aimed(model, loader, aim), loader, natural[:, unit], name, (seed + unit) % 2**63, climb)
            made.append(climber.text() if model.modality == "text" else climber.picture())
            progress(number + 1, len(drawn))
        return Maximized(layer, tuple(made), len(natural), natural.shape[1] - len(moving),
                         loader.remarks(len(natural)))  # fmt: skip


def maximized_of(subject: Subject, rows: int, layer: str, units: int, steps: int, smooth: float) -> MaximizedNeed:
    """The inputs that units of a subject's model answer to."""
    return MaximizedNeed(
        sweep_of(subject), rows, layer, units, steps, smooth, classes_of(subject), subject.runtime.seed
    )


def _natural(model: Any, loader: Any, rows: int, layer: str) -> "tuple[str, NDArray[np.float64]]":
    """The layer's name, and its units on the first rows, averaged over places: float64 [n, units]."""
    import numpy as np
    import torch

    from auditor.errors import AuditorError, NotApplicable
    from auditor.methods.passes import check_layer
    from auditor.methods.units import watched

    count, found = min(rows, loader.rows), []
    name = _spatial(model, loader) if layer == AUTO else layer
    if name != LOGITS:
        check_layer(model.module, name)
    for batch in loader.first(count):
        patterns = frozenset() if name == LOGITS else frozenset({name})
        with torch.no_grad(), watched(model.module, patterns, batch.inputs) as seen:
            logits = model.logits(batch.inputs)
        if name == LOGITS:
            found.append(logits.double().cpu().numpy())
        elif seen[name]:
            found.append(list(seen[name].values())[-1].mean.numpy())
        else:
            raise NotApplicable(f"layer {name!r} did not run, or its output is not a tensor of units")
    values = np.concatenate(found)[:count]
    if not np.isfinite(values).all():
        raise AuditorError(f"{name} is not finite (NaN or infinite) on these data", "Check weights and preprocessing.")
    return name, values


def _spatial(model: Any, loader: Any) -> str:
    """The last layer with spatial extent."""
    from auditor.errors import NotApplicable
    from auditor.methods.passes import Wants, run_pass

    batch = loader.batch(range(1))
    wants = Wants(activations=frozenset({AUTO}))
    found = run_pass(model.module, model.logits, batch.inputs, lambda logits: logits.argmax(dim=1), wants)
    if AUTO in found.missing:
        raise NotApplicable(found.missing[AUTO])
    return found.layers[AUTO]


@dataclass
class _Climber:
    """One unit on its way up. model: gives the unit's value alone."""

    model: Any
    loader: Any
    natural: "NDArray[np.float64]"
    name: str
    seed: int
    climb: "Climb"

    def picture(self) -> Made:
        """A picture in the range of the data's own values, channel by channel."""
        import torch

        from auditor.methods.activation_maximization import picture_of

        inputs = self.loader.batch(range(min(self.loader.batch_size, self.loader.rows))).inputs
        low, high = inputs.amin(dim=(0, 2, 3)), inputs.amax(dim=(0, 2, 3))
        draw, size = torch.Generator().manual_seed(self.seed), (inputs.shape[2], inputs.shape[3])
        found = picture_of(self._score, low, high, size, self._spread(), self.climb, draw)
        shown = self.loader.encoder.show(found[0].cpu().numpy())
        return self._made(self._value(found), shown, pictures=tuple(self._examples()))

    def text(self) -> Made:
        """Embeddings in the places of a text of the data, and the tokens nearest to them."""
        import numpy as np

        from auditor.artifacts.explanations import context_of
        from auditor.methods.activation_maximization import embedding_of, nearest

        special = context_of(self.loader, self.seed).special_ids
        inputs, free = self._template(special)
        leaf, ready = self.model.gradient_inputs(inputs)
        table = self.model.module.get_input_embeddings().weight.detach()

        def fed(embeddings: Any) -> Any:
            return {key: embeddings if value is leaf else value for key, value in ready.items()}

        longest = float(table.norm(dim=1).max())
        found = embedding_of(lambda moved: self._score(fed(moved)), leaf.detach(), free, longest, self.climb)
        ids = inputs["input_ids"].clone()
        ids[0, free] = nearest(found[0, free], table, special)
        words = tuple(self.loader.encoder.tokenizer.convert_ids_to_tokens(ids[0, free].tolist()))
        empty = np.zeros((0, 0, 3), dtype=np.uint8)
        spoken = self._value({**inputs, "input_ids": ids})
        return self._made(self._value(fed(found)), empty, words=words, spoken=spoken, texts=tuple(self._examples()))

    def _made(self, reached: float, picture: Any, **more: Any) -> Made:
        return Made(self.name, reached, float(self.natural.max()), float(self.natural.std()), picture, **more)

    def _score(self, inputs: Any) -> Any:
        return self.model.logits(inputs)[:, 0]

    def _value(self, inputs: Any) -> float:
        import torch

        with torch.no_grad():
            return float(self._score(inputs)[0])

    def _spread(self) -> float:
        return float(self.natural.std())

    def _examples(self) -> Any:
        import numpy as np

        return self.loader.shown([int(row) for row in np.argsort(-self.natural, kind="stable")[:BEST]])

    def _template(self, special: tuple[int, ...]) -> Any:
        """The inputs of the early text whose length is nearest to LENGTH, and which of its places are no specials."""
        import torch

        found = []
        for place in range(min(32, self.loader.rows)):
            inputs = self.loader.batch(range(place, place + 1)).inputs
            ids = inputs["input_ids"][0]
            free = ~torch.isin(ids, torch.tensor(special, dtype=ids.dtype, device=ids.device))
            found.append((abs(int(free.sum()) - LENGTH), place, inputs, free))
        _, _, inputs, free = min(found, key=lambda each: each[:2])
        return inputs, free
