"""Transfer: what the frozen features of a model are worth for a task, beside those of the same network drawn anew."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.inside import Inside, InsideOf
from auditor.artifacts.roots import Batches, Model
from auditor.blocks import Bar, Bars, Table
from auditor.errors import AuditorError, NotApplicable
from auditor.needs import Derived, Live, Need
from auditor.sources.data.batch import BatchLoader
from auditor.sources.models.loaded import LoadedModel
from auditor.statistics import grouped, t_interval, wilson
from auditor.subject import DataRef, ModelRef, Runtime, Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class RandomModel(Live[LoadedModel]):
    """A network of the model's shape whose parameters are drawn anew, normalization statistics measured on the data."""

    artifact: ClassVar[type] = LoadedModel
    model: Model
    batches: Batches
    rows: int
    run_seed: int

    @property
    def title(self) -> str:
        """Whose random twin."""
        return f"random twin of {self.model.title}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The model, and data to run it on."""
        return {"model": self.model, "batches": self.batches}

    def load(self, root: Path, **upstream: Any) -> LoadedModel:
        """A copy, randomized; the model itself is left as it is."""
        from copy import deepcopy

        import torch

        from auditor.methods.trust.randomize import layers_in_order, randomize, reestimate

        model: LoadedModel = upstream["model"]
        inputs = [batch.inputs for batch in upstream["batches"].first(self.rows)]
        twin = replace(model, module=deepcopy(model.module))
        layers = layers_in_order(twin.module, lambda: twin.logits(inputs[0]))
        randomize(layers, torch.Generator().manual_seed(self.draw_seed(self.run_seed)))
        reestimate(twin.module, lambda: [twin.logits(each) for each in inputs])
        return twin


@dataclass(frozen=True)
class Suits:
    """How features suit labels. near, probe: bool [n], whether neighbours, a held-out probe give each row's label."""

    near: "NDArray[np.bool_]"
    probe: "NDArray[np.bool_]"
    logme: float
    h_score: float


@dataclass(frozen=True)
class Transfer:
    """The scores of a model's features and of its random twin's. majority: bool [n], whether a row has the commonest
    label. layer: which the features enter, "" where the outputs stand for them."""

    own: Suits
    random: Suits
    majority: "NDArray[np.bool_]"
    classes: int
    width: int
    layer: str
    examples: tuple[str, ...]
    groups: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class TransferOf(Derived[Transfer]):
    """The transferability of a model to a labelled data set; of copies of an example the first is asked."""

    version: ClassVar[int] = 2
    artifact: ClassVar[type] = Transfer
    batches: Batches
    own: InsideOf
    random: InsideOf
    rows: int
    run_seed: int

    @property
    def title(self) -> str:
        """Whose features, for what."""
        return f"transferability to {self.batches.data.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """Labels, and both networks' features."""
        return {"batches": self.batches, "own": self.own, "random": self.random}

    def build(self, *args: Any, **upstream: Any) -> Transfer:
        """Both scored in the same way."""
        import numpy as np

        loader: BatchLoader = upstream["batches"]
        own: Inside = upstream["own"]
        rows = loader.order[: min(self.rows, len(own.features))]
        first = {loader.dataset.examples[row]: place for place, row in reversed(list(enumerate(rows)))}
        places = sorted(first.values())
        targets = loader.dataset.targets()
        labels = np.array([targets[rows[place]] for place in places], dtype=np.int64)
        _require_classes(labels)
        groups = tuple(loader.dataset.groups[rows[place]] for place in places)
        groups = groups if any(groups) else ()
        seed, names = self.draw_seed(self.run_seed), {"the model": own, "its random twin": upstream["random"]}
        suits = [_suits(_finite(each.features[places], whose), labels, groups, seed) for whose, each in names.items()]
        classes, counts = np.unique(labels, return_counts=True)
        copies = len(rows) - len(places)
        said = (f"{copies} of {len(rows):,} examples are copies of others and are left out.",) if copies else ()
        return Transfer(
            suits[0], suits[1], labels == classes[counts.argmax()], len(classes), own.features.shape[1], own.layer,
            tuple(loader.dataset.examples[rows[place]] for place in places), groups,
            (*loader.remarks(len(rows)), *said),
        )  # fmt: skip


def _require_classes(labels: "NDArray[np.int64]") -> None:
    """NotApplicable without two classes, or where none has an example in each fold of the probe."""
    import numpy as np

    from auditor.methods.data.labels import FOLDS

    counts = np.unique(labels, return_counts=True)[1]
    if len(counts) < 2:
        raise NotApplicable(f"all {len(labels)} examples have one label: there is nothing to tell apart")
    if counts.max() < FOLDS:
        raise NotApplicable(f"no class has {FOLDS} examples among {len(labels)}, one for each fold of the probe")


def _finite(features: "NDArray[np.float32]", whose: str) -> "NDArray[np.float32]":
    import numpy as np

    bad = int((~np.isfinite(features)).any(axis=1).sum())
    if bad:
        raise AuditorError(
            f"the features of {whose} are not finite (NaN or infinite) on {bad} of {len(features)} examples",
            "Check the weights and the preprocessing; nothing can be measured from such features.",
        )
    return features


def _suits(features: "NDArray[np.float32]", labels: "NDArray[np.int64]", groups: tuple[str, ...], seed: int) -> Suits:
    from auditor.methods.transferability import h_score, logme, neighbours_right, probe_right

    table = features.astype("float64")
    return Suits(
        neighbours_right(table, labels, groups),
        probe_right(table, labels, groups, seed),
        logme(table, labels),
        h_score(table, labels),
    )


def before_tuning(subject: Subject) -> tuple[ModelRef, DataRef | None]:
    """The model before any fine-tuning, and the data of the task: of a fine-tune its parent and its training data."""
    model = subject.model
    if model.parent is not None and model.train is not None:
        return model.parent, model.train
    return model, subject.data


def transfer_of(subject: Subject, rows: int) -> TransferOf:
    """The transferability of a subject. ValueError without data."""
    ref, data = before_tuning(subject)
    if data is None:
        raise ValueError("transferability needs data")
    runtime: Runtime = subject.runtime
    model, batches = Model(ref, runtime), Batches(ref, data, runtime)
    twin: Any = RandomModel(model, batches, rows, runtime.seed)
    return TransferOf(batches, InsideOf(model, batches, rows), InsideOf(twin, batches, rows), rows, runtime.seed)


def beside_baselines(found: Transfer) -> Bars:
    """Both accuracies, of the model and its random twin, with the commonest class."""
    shown = {
        "neighbours, model": found.own.near, "neighbours, random twin": found.random.near,
        "probe, model": found.own.probe, "probe, random twin": found.random.probe,
    }  # fmt: skip
    bars = []
    for label, hits in shown.items():
        low, high = _interval(hits, found.groups)
        bars.append(Bar(label=label, value=float(hits.mean()), low=low, high=high))
    return Bars(
        title="Frozen features against baselines", x_label="accuracy", bars=tuple(bars),
        reference=(float(found.majority.mean()), "the commonest class"),
        reading="Accuracy from frozen features with 95% intervals, of the model and of the same network drawn anew.",
    )  # fmt: skip


def _interval(hits: "NDArray[np.bool_]", groups: tuple[str, ...]) -> tuple[float, float]:
    """As of the measurement: of counts, or of the mean over whole groups, which are counted where all agree."""
    if not groups:
        return wilson(int(hits.sum()), len(hits), 0.95)
    if hits.all() or not hits.any():
        return wilson(len(set(groups)) * int(hits[0]), len(set(groups)), 0.95)
    low, high = t_interval(*grouped(hits.astype("float64"), groups), 0.95)
    return max(0.0, low), min(1.0, high)


def scores(found: Transfer) -> Table:
    """LogME and H-score of the model and its random twin."""
    rows = tuple((name, suits.logme, suits.h_score) for name, suits in
                 (("model", found.own), ("random twin", found.random)))  # fmt: skip
    return Table(
        title="Scores that rank candidates", columns=("features of", "LogME (nats)", "H-score"), rows=rows,
        reading="Higher is better. They compare models on the same data; alone they have no meaning.",
    )  # fmt: skip
