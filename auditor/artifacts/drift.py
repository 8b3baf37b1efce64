"""Drift: how explanations and predictions of the same examples differ between two models, beside a floor of noise."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.asking import Asking, asking
from auditor.artifacts.attributions import Attributions, Lines
from auditor.artifacts.explained import SHOWN, Explained
from auditor.artifacts.explanations import maps_of
from auditor.artifacts.predictions import Predictions, predictions_of
from auditor.needs import Derived, Need
from auditor.subject import ModelRef, Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Likeness:
    """How alike two maps of each example are: float64 [n], NaN where a map has no order; empty if they cannot be
    compared, and `why`."""

    iou: "Floats"
    ranks: "Floats"
    why: str = ""


@dataclass(frozen=True)
class Drift:
    """One method's maps of a model against those of another, and against its own under noise.

    before and after: the first maps, of the other model and of the audited one, to be shown. own: explained examples.
    """

    method: str
    moved: Likeness
    floor: Likeness
    before: "NDArray[np.float32]"
    after: "NDArray[np.float32]"
    lengths: "NDArray[np.int64]"
    own: Explained


@dataclass(frozen=True)
class NudgedMapsNeed(Asking[Attributions]):
    """The maps of inputs under a little noise, for the same targets: what an explanation moves by anyway."""

    artifact: ClassVar[type] = Attributions
    version: ClassVar[int] = 2
    share: float = 0.01

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return f"{self.method.replace('_', ' ')} maps under noise"

    def build(self, *args: Any, **upstream: Any) -> Attributions:
        """The maps, batch by batch."""
        from auditor.methods.attribution.explain import method_of
        from auditor.methods.similarity.nudge import nudged

        model, method, lines = upstream["model"], method_of(self.method, **dict(self.options)), Lines()
        for inputs, targets, context in self.each(upstream, apart=False):
            noisy = nudged(model, inputs, self.share, context)
            lines.add(method.maps(model, noisy, targets, context), inputs)
        return lines.result(upstream["explained"])


@dataclass(frozen=True)
class DriftNeed(Derived[Drift]):
    """Maps of one method, three times, compared; top: the share of places that count as the foremost."""

    artifact: ClassVar[type] = Drift
    tensors: ClassVar[bool] = False
    method: str
    own: Need[Attributions]
    other: Need[Attributions]
    nudged: Need[Attributions]
    top: float

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return f"drift of {self.method.replace('_', ' ')} maps"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The maps of the model, of the other one, and of the model under noise."""
        return {"own": self.own, "other": self.other, "nudged": self.nudged}

    def build(self, *args: Any, **upstream: Any) -> Drift:
        """Compare them, example by example."""
        own, other, nudged = (upstream[name] for name in ("own", "other", "nudged"))
        return Drift(
            self.method, _likeness(own, other, self.top), _likeness(own, nudged, self.top),
            before=other.maps[:SHOWN], after=own.maps[:SHOWN], lengths=own.lengths[:SHOWN], own=own.explained,
        )  # fmt: skip


def _likeness(own: Attributions, other: Attributions, top: float) -> Likeness:
    import numpy as np

    from auditor.methods.similarity.ranks import signed_rank_correlation, top_k_overlap

    none = np.empty(0)
    if own.explained.examples != other.explained.examples:
        return Likeness(none, none, "the two models do not read the same examples")
    if own.maps.shape != other.maps.shape or (own.lengths != other.lengths).any():
        places = "tokens" if own.maps.ndim == 2 else "places"
        return Likeness(none, none, f"the maps of the two models have different {places}")
    lengths = own.lengths if own.maps.ndim == 2 else None
    overlap = top_k_overlap(np.abs(own.maps), np.abs(other.maps), top, lengths)
    ranked = signed_rank_correlation(own.maps, other.maps, lengths)
    return Likeness(np.where(overlap.constant, np.nan, overlap.iou), np.where(ranked.constant, np.nan, ranked.values))


@dataclass(frozen=True)
class Drifts:
    """Everything of one pair of models. flipped: bool [n], empty where predictions cannot be compared, and `why`.

    drifts: one a method. examples and groups: of `flipped`, which reaches over all rows of the data.
    """

    other: str
    drifts: tuple[Drift, ...]
    flipped: "NDArray[np.bool_]"
    examples: tuple[str, ...]
    groups: tuple[str, ...]
    why: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class DriftsNeed(Derived[Drifts]):
    """All methods on one pair, and whether predictions flipped; why: the reason if these cannot be compared."""

    artifact: ClassVar[type] = Drifts
    tensors: ClassVar[bool] = False
    other: str
    drifts: tuple[DriftNeed, ...]
    predictions: tuple[Need[Predictions], ...]
    why: str = ""

    @property
    def title(self) -> str:
        """Against whom."""
        return f"drift against {self.other}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The comparisons, and the predictions of both."""
        each = {f"drift_{at}": need for at, need in enumerate(self.drifts)}
        return {**each, **{f"said_{at}": need for at, need in enumerate(self.predictions)}}

    def build(self, *args: Any, **upstream: Any) -> Drifts:
        """All in one."""
        import numpy as np

        drifts = tuple(upstream[f"drift_{at}"] for at in range(len(self.drifts)))
        if not self.predictions:
            return Drifts(self.other, drifts, np.empty(0, dtype=bool), (), (), self.why)
        own, other = upstream["said_0"], upstream["said_1"]
        if own.examples != other.examples:
            why = "the two models do not read the same examples"
            return Drifts(self.other, drifts, np.empty(0, dtype=bool), (), (), why)
        flipped = own.logits.argmax(axis=1) != other.logits.argmax(axis=1)
        return Drifts(self.other, drifts, flipped, own.examples, own.groups, remarks=own.notes())


def drifts_of(
    subject: Subject, other: ModelRef, methods: tuple[str, ...], rows: int, target: str, top: float, share: float
) -> DriftsNeed:
    """The drift of a subject's model against another one on the subject's data.

    Where the two have different heads, each one's own prediction is explained, and flips are not counted.
    """
    theirs, why = beside(subject, other), _other_answers(subject, other, target)
    if why and (target == "label" or target.startswith("class:")):
        target = "predicted"
    each = tuple(
        DriftNeed(
            method,
            maps_of(subject, method, rows, target),
            maps_of(theirs, method, rows, target),
            asking(NudgedMapsNeed, subject, rows, target, method, {}, share=share),
            top,
        )
        for method in methods
    )
    said = () if why else (predictions_of(subject), predictions_of(theirs))
    return DriftsNeed(other.name, each, said, why)


def beside(subject: Subject, other: ModelRef) -> Subject:
    """The other model on the same data; class names are its own where its head is another."""
    data = subject.data
    if data is not None and not _same_head(subject.model, other):
        data = data.model_copy(update={"classes": other.classes})
    return subject.model_copy(update={"model": other, "data": data, "against": ()})


def _same_head(model: ModelRef, other: ModelRef) -> bool:
    same_names = not model.classes or not other.classes or model.classes == other.classes
    return model.outputs == other.outputs and model.task == other.task and same_names


def _other_answers(subject: Subject, other: ModelRef, target: str) -> str:
    """Why predictions of the two cannot be compared, or ""."""
    if subject.model.task != "classification":
        return f"predictions are not compared: the model's task is {subject.model.task}."
    if _same_head(subject.model, other):
        return ""
    return (
        f"{other.name} has another head ({other.outputs} outputs, not {subject.model.outputs} of the same names): each "
        "model's own prediction is explained, and no example is called kept or flipped."
    )


def left_out(drifts: Drifts) -> Iterator[str]:
    """What the reader must know: what cannot be compared, and maps without order."""
    import numpy as np

    if drifts.why:
        yield drifts.why
    for drift in drifts.drifts:
        name = drift.method.replace("_", " ")
        if drift.moved.why:
            yield f"{name}: {drift.moved.why}."
        lost = int(np.isnan(drift.moved.iou + drift.floor.iou).sum()) if not drift.moved.why else 0
        if lost:
            yield f"{lost} of {len(drift.moved.iou)} examples have a {name} map that is the same everywhere; left out."
