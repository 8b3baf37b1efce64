"""How much of the task do the model's features already carry, before it is fine-tuned?"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.transfer import Transfer, before_tuning, beside_baselines, scores, transfer_of
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Metric
from auditor.needs import Need
from auditor.subject import Subject


class Transferability(Check):
    """How well the frozen features suit the task's labels, beside majority and a random twin of the network.

    Figure: bars of neighbours' and probe's accuracy, of the model, its random twin and the commonest class.
    """

    pillar: ClassVar[Pillar] = "optimizability"
    about: ClassVar[About] = About(
        title="Transferability",
        question="How much of the task do the model's features already carry, before it is fine-tuned?",
        formula="share of examples whose label k nearest neighbours (or a held-out linear probe) give; LogME = max "
        "over a, b of log p(y | F, a, b) / n; H = tr(cov(f)^-1 cov(E[f | y]))",
        method=(
            "The features are what enters the model's last linear layer, averaged over places; of a fine-tune those of "
            "its parent, on the training data. Neighbours vote by cosine of standardized features, each example left "
            "out of its own vote; the probe is a logistic regression that never saw the example (five folds; groups "
            "held out whole). Copies of an example are left out. The same is asked of a random twin: the same network, "
            "its weights drawn anew with the same spread, its normalization statistics measured on the data."
        ),
        reading=(
            "Well above the random twin and the commonest class: fine-tuning begins with features that fit. No better "
            "than the random twin: what was learned before is of little use here, and training from scratch may do as "
            "well. LogME and H-score rank candidates on the same data; alone their values say nothing."
        ),
        limits=(
            "Frozen features say how a model starts, not where a long fine-tune ends. A network drawn anew is no "
            "guess: random convolutions separate simple pictures well. Labels that the features were trained on make "
            "the scores look better than they are."
        ),
        citation="LogME: You et al., ICML 2021. H-score: Bao et al., ICIP 2019; Ibrahim, Ponomareva & Mazumder (2021). "
        "Linear probes: Alain & Bengio (2016).",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="knn_accuracy", better="up", interval="wilson", resampling="example",
            doc="Share of examples whose nearest neighbours among the others vote for their label.",
            what_to_try="Compare other pretrained models, or fine-tune more layers than the head.",
        ),
        Metric(
            name="linear_probe_accuracy", better="up", interval="wilson", resampling="example",
            doc="Share of examples to which a linear probe that never saw them gives their label.",
            what_to_try="Compare other pretrained models, or fine-tune more layers than the head.",
        ),
        Metric(
            name="logme", better="up", thresholdable=False, unit="nats",
            doc="Largest log evidence per example of a linear model from the features to the labels.",
        ),
        Metric(
            name="h_score", better="up", thresholdable=False,
            doc="Spread of the class means in units of the features' own covariance, shrunk.",
        ),
    )  # fmt: skip

    rows: int = Field(1024, ge=40, description="Use the first rows of the data.")

    def applies(self, subject: Subject) -> str | None:
        """Labelled data of two classes or more."""
        _, data = before_tuning(subject)
        if data is None:
            return "transferability needs labelled data"
        if data.task != "classification":
            return f"the data's task is {data.task}"
        return None if data.labelled else f"it needs labels, and data.{data.name} has none"

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The features of the model and of its random twin."""
        return {"found": transfer_of(subject, self.rows)}

    def measure(self, *args: Any, found: Transfer, **artifacts: Any) -> Evidence:
        """Both accuracies, both scores, and the baselines beside them."""
        near, probe = found.own.near.tolist(), found.own.probe.tolist()
        where = f"what enters layer {found.layer}" if found.layer else "the model's outputs"
        n = len(near)
        return Evidence(
            measurements=(
                self.share("knn_accuracy", near, found.groups),
                self.share("linear_probe_accuracy", probe, found.groups),
                self.exact("logme", found.own.logme, n=n),
                self.exact("h_score", found.own.h_score, n=n),
            ),
            blocks=(beside_baselines(found), scores(found)),
            samples={"knn": _numbers(near), "linear_probe": _numbers(probe)},
            examples=found.examples,
            notes=(f"The features are {where}: {found.width} numbers an example.", *found.remarks),
        )


def _numbers(hits: Sequence[bool]) -> tuple[float, ...]:
    return tuple(map(float, hits))
