"""Whether the data can carry the audit: copies, conflicting and doubtful labels, shift, inputs that do not fit."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.content import Content, content_of
from auditor.artifacts.copies import Copies, CopiesOf, Thresholds
from auditor.artifacts.data_pages import blocks_of, inapplicable_of, notes_of
from auditor.artifacts.doubts import Doubts, doubts_of
from auditor.check import About, Check, Pillar
from auditor.evidence import Counts, Evidence, Measurement, Metric, Moments, Quantiles
from auditor.needs import Need
from auditor.subject import Subject


def _metric(name: str, doc: str, what_to_try: str, **more: Any) -> Metric:
    fields = {"better": "down", "interval": "wilson", "resampling": "example", **more}
    return Metric(name=name, doc=doc, what_to_try=what_to_try, **fields)


class Data(Check):
    """Can the data carry the audit?

    Figure: pairs of copies, doubtful labels, and shift by feature.
    """

    pillar: ClassVar[Pillar] = "task"
    about: ClassVar[About] = About(
        title="The data",
        question="Can the evaluation data carry the audit: are they new to the model, labelled soundly, and of the "
        "kind that it was trained on?",
        formula="copies: correlation of 32 x 32 grey pictures, Jaccard index of runs of five bytes of texts, largest "
        "difference of a column in standard deviations; doubt: p_k >= mean p_k of class k for another class k than the "
        "label, p out of fold; shift = AUROC of a classifier between train and eval, held out; input_shift = median "
        "over channels of abs(mean - running mean) / running sd, and of abs(log(variance / running variance))",
        method="Every row is compared with every other one. Pictures are first compared by their lowest frequencies (a "
        "perceptual hash), texts by MinHash; what looks alike is then decided exactly. Rows of equal content always "
        "count. A logistic regression on the model's own features (what enters its head) is fitted on four fifths of "
        "the rows and judges the labels of the fifth (equal rows together, as one); another one tells training from "
        "evaluation rows by the inputs alone. The model's first normalization layer remembers mean and variance of its "
        "training inputs; what it receives now is compared with that.",
        reading="Look at the pairs first: are these really copies? Leaked examples make every score of this audit "
        "better than it is. A shift_auroc near .5 means that training and evaluation data cannot be told apart. An "
        "input_shift above .1 nearly always means that the pictures are normalized in another way than in training; a "
        "new domain raises it too.",
        limits="Mirrored, rotated and strongly cropped copies are not found. Where classes overlap, doubtful labels "
        "are hard examples as well as wrong labels, and labels that the model has learned by heart are not doubted. "
        "Models without running statistics (layer norm) cannot show an input shift. A small evaluation set moves "
        "input_shift by chance: see its interval.",
        citation="Zauner, Perceptual image hash functions (2010). Broder, On the resemblance and containment of "
        "documents (1997). Northcutt et al., Confident learning, JAIR 70 (2021). Lopez-Paz and Oquab, Revisiting "
        "classifier two-sample tests, ICLR 2017. DeLong et al., Biometrics 44 (1988).",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        _metric("leak_share", "The share of evaluation examples that have a copy in the training data.",
                "Remove the copies from the evaluation data (the pairs are shown), and split by source or group."),
        _metric("conflict_share", "The share of evaluation examples whose copy, in either data set, has another label.",
                "Settle these labels by hand; if both are right, the task needs several labels an example."),
        _metric("label_noise_share", "The share of examples (of `train` too) that a held-out probe confidently gives "
                "another class.", "Relabel the doubtful examples, beginning with the most frequent pair of classes."),
        _metric("shift_auroc", "How well a held-out classifier tells evaluation from training examples: .5 not at all.",
                "See which feature differs; collect evaluation data in the way of the training data, or say that this "
                "is another domain.", interval="t"),
        _metric("input_shift", "Of the first normalization layer: how far the mean, and the log variance, of its "
                "inputs lie from those of its training.",
                "Compare rescaling, mean, std and channel order of the spec's `transforms` with those of training.",
                interval="bootstrap"),
        _metric("truncated_share", "The share of texts longer than the model's window, of which the end is not read.",
                "Raise `max_length` up to the model's window, or split long texts."),
        _metric("corrupt_share", "The share of rows that cannot be read.", "Mend or remove the rows that are named."),
    )  # fmt: skip

    train: str | None = Field(
        None, description="The data set that the model was trained on.", json_schema_extra={"data": True}
    )
    rows: int = Field(1000, ge=20, description="Probes and the normalization layer look at the first rows only.")
    pictures: float = Field(0.995, gt=0.9, le=1, description="Correlation from which two pictures count as copies.")
    texts: float = Field(0.8, gt=0.3, le=1, description="Jaccard index from which two texts count as copies.")
    columns: float = Field(0.001, ge=0, lt=1, description="Largest difference of copies in standard deviations.")

    def applies(self, subject: Subject) -> str | None:
        """Whatever has data."""
        return None if subject.data is not None else "this check needs a data set"

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The content of both data sets, the copies in them, and the doubts about them."""
        content = content_of(subject)
        train = content_of(subject, "train") if "train" in subject.others else None
        limits = Thresholds(self.pictures, self.texts, self.columns)
        doubts = doubts_of(subject, content, train, self.rows)
        return {"content": content, "copies": CopiesOf(content, train, limits), "doubts": doubts}

    def measure(self, *, content: Content, copies: Copies, doubts: Doubts, seed: int) -> Evidence:
        """Shares of copies, conflicts, doubtful labels, cut and unreadable rows; shift of data and of inputs."""
        groups, samples = content.groups, {"conflict_share": copies.conflicting} if content.labelled else {}
        samples |= {"leak_share": copies.leaked} if doubts.shifts else {}
        samples |= {"truncated_share": content.truncated} if content.modality == "text" else {}
        found = [self.share(name, hits.tolist(), groups) for name, hits in sorted(samples.items())]
        found += [
            self.share("label_noise_share", side.doubted.tolist(), side.units, of)
            for of, side in (("", doubts.labels), ("train", doubts.train_labels)) if side is not None
        ]  # fmt: skip
        for whole in doubts.shifts[:1]:
            found.append(
                self.sampled("shift_auroc", Moments(mean=whole.value, sd=whole.error * whole.n**0.5, n=whole.n))
            )
        found += self._received(doubts, groups, seed)
        found.append(self.sampled("corrupt_share", Counts(k=content.unreadable, n=content.total)))
        return Evidence(
            measurements=tuple(found),
            blocks=blocks_of(content, copies, doubts),
            samples={name: tuple(hits.astype(float).tolist()) for name, hits in samples.items()},
            examples=content.examples, notes=notes_of(content, copies, doubts),
            inapplicable=inapplicable_of(content, copies, doubts),
        )  # fmt: skip

    def _received(self, doubts: Doubts, groups: Sequence[str], seed: int) -> list[Measurement]:
        found = doubts.received.shifts(groups, seed) if doubts.received else {}
        measured = [
            self.replicated("input_shift", value, Quantiles(values=drawn), n, of)
            for of, (value, drawn, n) in found.items()
        ]
        return [one.model_copy(update={"unit_of_resampling": "group"}) if groups else one for one in measured]
