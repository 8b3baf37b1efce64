"""What the heads of a transformer attend to, and whether that has to do with the answer."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.asking import asking
from auditor.artifacts.attended import heads_by_layer, order_of_layers, shown, silenced
from auditor.artifacts.attention import MAPS, Attended, AttentionNeed
from auditor.artifacts.targets import TargetName, refusal
from auditor.check import About, Check, Pillar
from auditor.evidence import Enclosure, Evidence, Measurement, Metric
from auditor.needs import Need
from auditor.subject import Subject


class Attention(Check):
    """Do the heads attend to anything in particular, and does it matter?

    Figure: query dependence by layer and head, and the attention of some examples over their tokens or
    pictures.
    """

    pillar: ClassVar[Pillar] = "interpretability"
    about: ClassVar[About] = About(
        title="Attention",
        question="Do the heads of each layer look at what is asked for, and do attention maps say what moves the "
        "score?",
        formula="query_dependence = mean_q 1/2 sum_k |A_qk - mean_q A_qk|;  rollout R = A'_L ... A'_1, A' = "
        "(mean over heads of A + I) / 2;  gradient attention R <- R + mean over heads of relu(A * dA) R, "
        "dA = d f(x)[target] / dA, shown as R - I;  head_effect = mean (f(x) - f(x without the head))",
        method="The weights A of all layers are kept in one pass with eager attention, since fused kernels return "
        "none. A layer has collapsed if every head attends alike whatever the query: its mean query dependence is "
        "below .05. Queries and keys are all tokens but padding; in causal models the later half of the tokens, over "
        "the keys that all of them see. Maps are read at the tokens that the head reads, told from where the last "
        "layer's attention has a gradient; special and prefix tokens are left out of maps and comparisons. The heads "
        "that matter most to first order (mean of |sum A * dA|) on half of the examples are set to zero before "
        "heads are mixed; the one whose silence costs most there is measured on the other half. Agreement is the rank "
        "correlation of a map with the absolute gradient at the input, less its mean over 8 shifts of the same map.",
        reading="A collapsed layer mixes all tokens alike and could be replaced by an average. An agreement near 0 "
        "says that the attention map points elsewhere than where the score reacts: do not show it as a reason. If "
        "silencing the strongest head changes little, no single head carries the answer.",
        limits="Attention says what is mixed, not what is used: values and later layers decide that. Entropy cannot "
        "tell collapse from health, since healthy heads often rest on one token; nor do single heads that attend "
        "alike mean harm. Setting a head to zero takes the model where it never was in training. Windowed attention "
        "(Swin) has no flow that can be rolled out, and is skipped.",
        citation="Abnar and Zuidema, Quantifying attention flow in transformers, ACL 2020. Chefer, Gur and Wolf, "
        "Generic attention-model explainability, ICCV 2021 (the rule for self-attention). Michel, Levy and Neubig, Are "
        "sixteen heads really better than one?, NeurIPS 2019. Jain and Wallace, Attention is not explanation, 2019.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="collapsed_layers", unit="layers", better="down", interval="enclosure", resampling="example",
               doc="Layers in which the mean query dependence of every head is below .05; the interval counts those "
               "that are surely so, and those that may be (99.9% for each head).",
               what_to_try="Look at the scale of queries and keys there (dead projections, a norm that flattens, too "
               "large a learning rate), and retrain or leave the layer out."),
        Metric(name="query_dependence", thresholdable=False, interval="t", resampling="example",
               doc="How much what a head attends to depends on the query, averaged over the heads of a layer."),
        Metric(name="entropy", thresholdable=False, interval="t", resampling="example",
               doc="Entropy of the rows of attention, as a share of even attention's, averaged over a layer."),
        Metric(name="head_redundancy", thresholdable=False, interval="t", resampling="example",
               doc="How alike the heads of a layer attend: 1 minus their mean total variation distance."),
        Metric(name="head_effect", better="up", interval="t", resampling="example",
               doc="The mean fall of the explained score without the strongest head (of a logit: in nats of its "
               "odds); the head is chosen on half of the examples and measured on the others.",
               what_to_try="Do not explain answers by attention maps if no head matters to them: use gradients or "
               "occlusion."),
        Metric(name="agreement_with_gradient", better="up", interval="t", resampling="example",
               doc="Rank correlation of the attention map with the absolute gradient at the input, less that of the "
               "same map shifted; of rollout and of gradient-weighted attention.",
               what_to_try="Prefer gradient-weighted attention to rollout, or a method that faithfulness recommends."),
    )  # fmt: skip

    rows: int = Field(64, ge=4, description="Look at the first rows of the evaluation data; half of them choose heads.")
    heads: int = Field(12, ge=1, le=30, description="How many heads, the strongest to first order, are silenced.")
    target: TargetName = "predicted"

    def applies(self, subject: Subject) -> str | None:
        """Transformers for texts or pictures, with data; whether it is one shows when it is loaded."""
        if subject.model.modality == "tabular":
            return "attention is followed through texts and pictures, and the model takes columns"
        return refusal(subject, "attention", self.target)

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """All heads looked at, some silenced."""
        return {"found": asking(AttentionNeed, subject, self.rows, self.target, "attention", {}, strongest=self.heads)}

    def measure(self, *, found: Attended) -> Evidence:
        """Collapsed layers, descriptions of each layer, the strongest head, and whether maps agree with gradients."""
        return Evidence(
            measurements=(*self._layers(found), *self._strongest(found), *self._agreement(found)),
            blocks=(*heads_by_layer(found), silenced(found), *shown(found), order_of_layers(found)),
            notes=found.notes(),
        )

    def _layers(self, found: Attended) -> Iterator[Measurement]:
        from auditor.methods.attention.collapse import collapsed_layers

        kept = [row for row, usable in enumerate(found.usable) if usable]
        groups = found.groups(kept)
        layers = [found.layer(found.query_dependence, at)[kept] for at in range(len(found.heads))]
        for at, heads in enumerate(layers if kept else ()):
            of, even = f"layer {at + 1}", found.layer(found.entropy, at)[kept].mean(axis=1)
            yield self.over_examples("query_dependence", heads.mean(axis=1).tolist(), groups, of)
            yield self.over_examples("entropy", even.tolist(), groups, of)
            if found.heads[at] > 1:
                yield self.over_examples("head_redundancy", found.redundancy[kept, at].tolist(), groups, of)
        if kept:
            count, surely, possibly = collapsed_layers(layers, groups)
            yield self.replicated("collapsed_layers", count, Enclosure(low=surely, high=possibly), len(kept))

    def _strongest(self, found: Attended) -> Iterator[Measurement]:
        other = [row for row, first in enumerate(found.first) if not first]
        if other and found.first.any():
            best = int(found.effect[found.first].mean(axis=0).argmax())
            falls, of = found.effect[other, best].tolist(), found.head(found.silenced[best])
            yield self.over_examples("head_effect", falls, found.groups(other), of)

    def _agreement(self, found: Attended) -> Iterator[Measurement]:
        for column, of in zip(found.agreement.T, MAPS, strict=True):
            kept = [row for row, value in enumerate(column) if value == value]
            if kept:
                yield self.over_examples("agreement_with_gradient", column[kept].tolist(), found.groups(kept), of)
