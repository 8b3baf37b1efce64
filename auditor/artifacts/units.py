"""Units: what the channels, features and neurons of a model's layers do over a data set, in constant memory."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.predictions import halving_notes
from auditor.errors import AuditorError
from auditor.needs import Collector, Cost, Probe, Step, Tap
from auditor.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from auditor.methods.tally import Moving
    from auditor.methods.units import Seen

TOP, PORTRAYED = 4, 3
"""How many examples are shown of a unit, and of how many units."""


@dataclass(frozen=True)
class LayerUnits:
    """The units of one layer over all examples.

    variance: float64 [units], over examples and places; variance_a and variance_b over each half of the examples.
    compared: int64, the units that were compared with each other (all, or a seeded choice). repeats: for each of
    these the place in `compared` of the earlier unit that it repeats, or -1. peaks, tops float64, int64
    [units, TOP]: the largest activations, and the rows of their examples (-1: fewer examples); spots: the place of
    each peak within its example. same_as: layers right behind it whose numbers are all the same, left out.
    """

    name: str
    variance: "NDArray[np.float64]"
    variance_a: "NDArray[np.float64]"
    variance_b: "NDArray[np.float64]"
    compared: "NDArray[np.int64]"
    repeats: "NDArray[np.int64]"
    peaks: "NDArray[np.float64]"
    tops: "NDArray[np.int64]"
    spots: "NDArray[np.int64]"
    same_as: tuple[str, ...] = ()


@dataclass(frozen=True)
class Portrait:
    """A layer in the middle: maps float32 [examples, channels, h, w] of the first examples, which `pictures` shows.

    units: the units portrayed; top_pictures: for each its top examples as the model saw them; top_words: or the
    tokens where it was most active, each with its text.
    """

    layer: str
    maps: "NDArray[np.float32]"
    pictures: "tuple[NDArray[np.uint8], ...]" = ()
    units: tuple[int, ...] = ()
    top_pictures: "tuple[tuple[NDArray[np.uint8], ...], ...]" = ()
    top_words: tuple[tuple[tuple[str, str], ...], ...] = ()


@dataclass(frozen=True)
class Units:
    """The layers in the order in which they ran; examples in each half; one layer portrayed; what the data say."""

    layers: tuple[LayerUnits, ...]
    examples_a: int
    examples_b: int
    portrait: Portrait | None = None
    halved: int = 0
    remarks: tuple[str, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """What the reader must know of how they were computed."""
        few = [layer for layer in self.layers if len(layer.compared) < len(layer.variance)]
        capped = f"Of {len(few)} layers with many units a seeded choice of {len(few[0].compared)} was compared for " \
                 "duplicates, not all." if few else ""  # fmt: skip
        same = [name for layer in self.layers for name in layer.same_as]
        merged = f"Left out, as the layer before gives the same numbers: {', '.join(same[:5])}" \
                 f"{' ...' if len(same) > 5 else ''}." if same else ""  # fmt: skip
        return (*self.remarks, *filter(None, (capped, merged)), *halving_notes(self.halved))


@dataclass(frozen=True)
class UnitsProbe(Probe[Units]):
    """The units of the layers that a pattern means. seed: of halves and of the units compared; cap: how many those."""

    version: ClassVar[int] = 1
    artifact: ClassVar[type] = Units
    layers: str = "auto"
    seed: int = 0
    cap: int = 256

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return f"units of layers ({self.layers})"

    def cost(self) -> Cost:
        """One forward a batch."""
        return Cost(forwards=self.sweep.batch_count(self.rows))

    def collect(self) -> Collector[Units]:
        """A fresh collector."""
        return _Gathering(Tap("units", self.layers), self.draw_seed(self.seed), self.cap)


def units_of(subject: Subject, layers: str, rows: int | None, cap: int) -> UnitsProbe:
    """What the units of a subject's model do on its data."""
    from auditor.artifacts.roots import sweep_of

    taps = frozenset({Tap("units", layers)})
    return UnitsProbe(sweep_of(subject), taps, rows, layers, subject.runtime.seed, cap)


@dataclass
class _Gathering(Collector[Units]):
    tap: Tap
    seed: int
    cap: int
    layers: dict[str, "_Layer"] = field(default_factory=dict)
    counts: list[int] = field(default_factory=lambda: [0, 0])
    tokens: bool = False
    last: Step | None = None

    def see(self, step: Step) -> None:
        """Add the units of one batch; its examples fall into halves by their group, or else by their content."""
        import numpy as np

        units = [group or example for group, example in zip(step.batch.groups, step.examples, strict=True)]
        second = np.array([hashlib.sha256(f"{self.seed}:{unit}".encode()).digest()[0] % 2 == 1 for unit in units])
        for half in (0, 1):
            self.counts[half] += int((second == half).sum())
        for name, seen in step.taps[self.tap].items():
            layer = self.layers.get(name) or self.layers.setdefault(name, _Layer.of(name, seen, self.seed, self.cap))
            layer.add(seen, second, step.start)
        self.tokens = isinstance(step.inputs, dict)
        self.last = replace(step, taps={}, inputs=None, logits=None, batch=None)

    def result(self) -> Units:
        """All layers; ones that only hand on what came before are named with it."""
        from auditor.errors import NotApplicable

        if not self.layers or self.last is None:
            raise NotApplicable(f"no layer of {self.tap.layer!r} gives activations of units")
        if not all(self.counts):
            raise NotApplicable("the examples (or their groups) are too few to be split into two halves")
        loader = self.last.loader
        found: list[LayerUnits] = []
        for layer in self.layers.values():
            done = layer.finished()
            if found and _same(found[-1], done):
                found[-1] = replace(found[-1], same_as=(*found[-1].same_as, done.name))
            else:
                found.append(done)
        total = sum(self.counts)
        return Units(
            layers=tuple(found),
            examples_a=self.counts[0],
            examples_b=self.counts[1],
            portrait=_portrait([self.layers[layer.name] for layer in found], found, loader, self.tokens),
            halved=self.last.halved,
            remarks=loader.remarks(total) if loader else (),
        )


@dataclass
class _Layer:
    """One layer while it is gathered: moments of either half, products of the units compared, the top examples."""

    name: str
    chosen: "NDArray[np.int64]"
    halves: "tuple[Moving, Moving]"
    pairs: "Moving"
    maps: "NDArray[np.float32]"
    places: int
    peaks: "NDArray[np.float64]"
    tops: "NDArray[np.int64]"
    spots: "NDArray[np.int64]"

    @classmethod
    def of(cls, name: str, seen: "Seen", seed: int, cap: int) -> "_Layer":
        """A layer of which nothing has been added."""
        import numpy as np

        from auditor.methods.tally import Moving

        units = seen.mean.shape[1]
        digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
        drawn = np.random.default_rng(int.from_bytes(digest[:8], "big")).permutation(units)[:cap]
        empty = np.full((units, TOP), -1, dtype=np.int64)
        return cls(name, np.sort(drawn).astype(np.int64), (Moving(), Moving()), Moving(), seen.maps.numpy(),
                   int(seen.place.max()) + 1, np.full((units, TOP), -np.inf), empty, empty)  # fmt: skip

    def add(self, seen: "Seen", second: "NDArray[np.bool_]", start: int) -> None:
        """The units of one batch."""
        import numpy as np

        from auditor.methods.tally import merged, products

        count, mean, squares = seen.count.numpy(), seen.mean.numpy(), seen.squares.numpy()
        for moving, rows in zip(self.halves, (~second, second), strict=True):
            moving.add(*merged(count[rows], mean[rows], squares[rows]))
        sample = seen.sample.numpy()[:, self.chosen]
        self.pairs.add(*products(sample.swapaxes(1, 2).reshape(-1, len(self.chosen))))
        self.places = max(self.places, int(seen.place.max()) + 1)
        rows_ = np.broadcast_to(np.arange(start, start + len(count)), seen.peak.T.shape)
        peaks = np.concatenate([self.peaks, seen.peak.numpy().T], axis=1)
        order = np.argsort(-peaks, axis=1, kind="stable")[:, :TOP]
        self.peaks = np.take_along_axis(peaks, order, 1)
        self.tops = np.take_along_axis(np.concatenate([self.tops, rows_], axis=1), order, 1)
        self.spots = np.take_along_axis(np.concatenate([self.spots, seen.place.numpy().T], axis=1), order, 1)

    def finished(self) -> LayerUnits:
        """What the layer's units did."""
        import numpy as np

        from auditor.methods.tally import Moving, dead, duplicates

        whole = Moving()
        for half in self.halves:
            whole.add(half.count, np.asarray(half.mean), np.asarray(half.squares))
        if not np.isfinite(whole.variance).all():
            bad = int((~np.isfinite(whole.variance)).sum())
            said = f"layer {self.name}: {bad} of {len(whole.variance)} units are not finite (NaN or infinite)"
            raise AuditorError(said, "Check weights and preprocessing; see which layer is the first to overflow.")
        live = ~dead(whole.variance)[self.chosen]
        return LayerUnits(
            name=self.name,
            variance=whole.variance,
            variance_a=self.halves[0].variance,
            variance_b=self.halves[1].variance,
            compared=self.chosen,
            repeats=duplicates(np.asarray(self.pairs.squares), live),
            peaks=self.peaks,
            tops=self.tops,
            spots=self.spots,
        )


def _same(one: LayerUnits, other: LayerUnits) -> bool:
    import numpy as np

    return np.array_equal(one.variance, other.variance) and np.array_equal(one.peaks, other.peaks)


def _portrait(layers: list[_Layer], found: list[LayerUnits], loader: Any, tokens: bool) -> Portrait | None:
    """The middle one of the layers with spatial extent (or of tokens): its maps, and top examples of a few units."""
    import numpy as np

    from auditor.methods.tally import dead

    extended = [at for at, layer in enumerate(layers) if layer.places > 1 and (tokens or layer.maps.size)]
    if not extended or loader is None:
        return None
    at = extended[len(extended) // 2]
    layer, done = layers[at], found[at]
    live = np.flatnonzero(~dead(done.variance))
    units = tuple(int(live[round(k)]) for k in np.linspace(0, len(live) - 1, min(PORTRAYED, len(live))))
    rows = [[int(row) for row in done.tops[unit] if row >= 0] for unit in units]
    if tokens:
        words = tuple(_words(loader, mine, done.spots[unit]) for unit, mine in zip(units, rows, strict=True))
        return Portrait(layer.name, layer.maps, units=units, top_words=words)
    pictures = tuple(loader.shown(range(len(layer.maps))))
    return Portrait(layer.name, layer.maps, pictures, units, tuple(tuple(loader.shown(mine)) for mine in rows))


def _words(loader: Any, rows: list[int], spots: "NDArray[np.int64]") -> tuple[tuple[str, str], ...]:
    found = []
    for row, spot in zip(rows, spots, strict=False):
        (text,) = loader.shown([row])
        tokens = loader.encoder.tokens(text)
        found.append((tokens[spot] if spot < len(tokens) else "", text[:120]))
    return tuple(found)
