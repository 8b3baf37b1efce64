"""Which training examples speak for a decision, and which act most on themselves."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.influence import Influences, influences_of
from auditor.artifacts.influence_figures import figures, remarks
from auditor.artifacts.trajectory import missing
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric
from auditor.needs import Need
from auditor.subject import Subject

TRAIN = "no training data are named: add them under `data:` and write `with: {train: NAME}`"


class Influence(Check):
    """Which training examples speak for a decision?

    Figure: the training examples that act most on themselves, and decisions beside what speaks for and against them.
    """

    pillar: ClassVar[Pillar] = "traceability"
    version: ClassVar[int] = 2
    about: ClassVar[About] = About(
        title="Influence of training examples",
        question="Which training examples speak for a decision, do they show the same class, and do a few of them "
        "carry what was learned?",
        formula="influence(z, z') = sum over stages t of lr_t grad L(z; w_t) . grad L(z'; w_t), of one layer;  "
        "self-influence(z) = influence(z, z);  self_influence_gini = sum_i (2 i - n - 1) s_(i) / (n sum s)",
        method="TracIn over the stages of the history that hold weights, in eval mode. L is the cross-entropy (or the "
        "squared error of a regression). z is a training example with its label; z' an example of the data: of a "
        "classifier with the class that the last finite stage predicts, so that it is the decision that is explained,"
        " right or wrong; of a regression with its label. A proponent has an influence above 0: a step on it lowers "
        "the loss of z'. For proponents_same_class an example counts where more than half of its `top` strongest "
        "proponents (fewer, if fewer are above 0) have its own, true label. A linear layer's gradients are outer "
        "products and never made; those of other layers are made, as many at a time as 67 million numbers hold. The "
        "layer is named in the notes. Where learning rates are not known every stage has the same weight.",
        reading="Look at the table first: wrong labels are among the most self-influential examples far above their "
        "share (of 300 with one in ten labels wrong, 22 to 26 of the first 30 were wrong). A high Gini coefficient "
        "says that few examples still move the model: those at the border of classes, those learned by heart, and "
        "wrong labels; it does not tell them apart. A proponent of another class than the example's shows what a wrong "
        "decision was learned from.",
        limits="The Gini coefficient is no test of label noise: in the same training it was .93 with right labels, .80 "
        "to .83 with one in ten wrong, and .43 to .50 with shuffled ones; compare it between like models. At the head "
        "the proponents of a decision nearly always carry the predicted label, so that proponents_same_class is then "
        "close to the accuracy; an inner layer says more. Only the first rows of each data set are looked at: the "
        "strongest proponent of all may not be among them. A few stages stand for all steps; momentum, adaptive rates "
        "and augmentation are not in the formula. Hard and rare examples act on themselves as wrong labels do.",
        citation="Pruthi et al., Estimating training data influence by tracing gradient descent, NeurIPS 2020. Hanawa "
        "et al., Evaluation of similarity-based explanations, ICLR 2021. Gini, Variabilita e mutabilita (1912).",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="self_influence_gini", better="down", interval="bootstrap", resampling="example",
            doc="The Gini coefficient of the training examples' self-influence: 0 all equal, near 1 a few have all.",
            what_to_try="Check the labels and inputs of the examples in the table; relabel or remove what is wrong.",
        ),
        Metric(
            name="proponents_same_class", better="up", interval="wilson", resampling="example",
            doc="The share of examples of which most of the strongest proponents have the example's label.",
            what_to_try="Look at the proponents of the other class: relabel them, or collect examples that tell the "
            "two classes apart.",
        ),
    )  # fmt: skip

    train: str | None = Field(
        None, description="The data set that the model was trained on.", json_schema_extra={"data": True}
    )
    rows: int = Field(256, ge=2, description="The first rows of the training data.")
    test_rows: int = Field(64, ge=1, description="The first rows of the data.")
    top: int = Field(3, ge=1, description="Proponents of each example that are counted.")
    layer: str = Field("auto", min_length=1, description="auto (the last linear layer, the head), or a name.")

    def applies(self, subject: Subject) -> str | None:
        """Classifiers and regressions whose history holds weights, with training data and data, both labelled."""
        if subject.model.task not in ("classification", "regression"):
            return f"the model's task is {subject.model.task}"
        if reason := missing(subject.history, ("weights",)):
            return reason
        train = subject.others.get("train")
        if train is None:
            return TRAIN
        if subject.data is None:
            return "this check needs a data set"
        return subject.model_copy(update={"data": train}).lacks_labels() or subject.lacks_labels()

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The influences."""
        return {"found": influences_of(subject, self.rows, self.test_rows, self.layer)}

    def measure(self, *, found: Influences, seed: int) -> Evidence:
        """How unequal self-influence is, and whether proponents have the example's class."""
        import numpy as np

        from auditor.methods.influence.ranking import gini

        over = {"self_influence_gini": lambda rows: gini(found.own[rows])}
        measured, said = self.resampled_each(over, np.zeros(len(found.own)), found.train.groups, seed)
        why = {} if found.classes else {"proponents_same_class": "the labels are not classes"}
        if found.classes:
            measured += self._shares(found, said)
        if found.left_out:
            measured = [one.undecided() for one in measured]
        notes = (*remarks(found), *said)
        return Evidence(measurements=tuple(measured), blocks=figures(found), notes=notes, inapplicable=why)

    def _shares(self, found: Influences, said: list[str]) -> list[Measurement]:
        from auditor.methods.influence.ranking import same_class

        places, hits = same_class(found.pairs, found.train.labels, found.test.labels, self.top)
        if alone := found.pairs.shape[1] - len(places):
            said.append(f"{alone} examples of {found.test.name} have no proponent and are left out.")
        groups = [found.test.groups[place] for place in places] if found.test.groups else ()
        return [self.share("proponents_same_class", hits.tolist(), groups)] if len(places) else []
