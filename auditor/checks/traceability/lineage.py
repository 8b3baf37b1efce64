"""Is this model what became of the model that it is said to come from?"""

from collections.abc import Mapping
from typing import Any, ClassVar

from auditor.artifacts.lineage import Family, Kin, family_of
from auditor.artifacts.lineage_pages import lineage_blocks, lineage_notes
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric
from auditor.needs import Need
from auditor.subject import Subject


class Lineage(Check):
    """Is this model derived from the model that it is said to come from, and what was changed on the way?

    Figure: tensors that changed, with their digests, and the spectrum of the largest changes.
    """

    pillar: ClassVar[Pillar] = "traceability"
    about: ClassVar[About] = About(
        title="Lineage",
        question="Is this model derived from the model that it is said to come from, and what was changed on the way?",
        formula="r = sum (a - mean a)(b - mean b) / sqrt(sum (a - mean a)^2 sum (b - mean b)^2) of a tensor a and the "
        "parent's b;  stable rank of the change D = |D|_F^2 / |D|_2^2;  unexplained: abs(r) < 4 / sqrt(elements)",
        method="The stored tensors of both models are read one pair at a time, matched by name (leading words that "
        "wrappers put before most names are taken off and said), and digested. A tensor is identical, identical up to "
        "rounding where the types differ, changed, transposed, of another shape, added or missing. Tensors of the same "
        "bytes are tied and count once; buffers, as the built module names them, are compared and are no parameters. "
        "parent_correlation is the mean of r over the tensors of two or more dimensions of equal shape, weighted by "
        "size. A tensor whose parent is constant says nothing and is left out; one that became constant or is not "
        "finite counts as 0. A tensor is unexplained if it has no counterpart or another shape and does not belong to "
        "a declared new head (the recipe's `head`, or another number of outputs), or if it has two dimensions and 64 "
        "elements or more, and r is within the noise of unrelated numbers. A fine-tune run here is its first seed. "
        "`against` names the parent; for a fine-tune, and with `history: {from: NAME}`, it is known.",
        reading="A child of its claimed parent correlates .97 to .99 with it after a usual fine-tune, less if it was "
        "trained for long; an unrelated model of the same architecture about 0. Few unexplained tensors beside a high "
        "correlation were edited or replaced: the table names them. A change of rank 2 of a large matrix is what "
        "merging a low-rank adapter leaves.",
        limits="Correlation shows family, not parenthood: two fine-tunes of one parent correlate with each other as "
        "with it, and child and parent could be exchanged. Only equal digests prove that a file is the one that was "
        "published. Hidden units in another order compute the same and correlate about 0 here. Trained models share "
        "some structure, so that single tensors of unrelated models may pass the noise: read parent_correlation first. "
        "A change of vectors alone (biases, norms) hardly shows in parent_correlation: see the table. "
        "Stable ranks of large matrices are sketched.",
        citation="Halko, Martinsson and Tropp, SIAM Review 53 (2011), for the sketch; Rudelson and Vershynin, Journal "
        "of the ACM 54 (2007), for the stable rank; Hu et al., LoRA, ICLR 2022.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="parent_correlation", better="up", doc="Centred correlation of the tensors of two or more "
               "dimensions with the parent's, weighted by size: an exact fact about both files.",
               what_to_try="Ask whoever supplied the weights for the parent's digest, and name the true parent."),
        Metric(name="unexplained_tensors", better="down", doc="Tensors that neither the parent nor a declared new head "
               "explains.", what_to_try="See the table: find out how the named tensors were made, or declare the head "
               "that was replaced."),
        Metric(name="changed_share", better="down", thresholdable=False,
               doc="The share of the parameters, in tensors of equal shape, whose values differ from the parent's."),
        Metric(name="update_stable_rank", better="down", thresholdable=False,
               doc="Stable rank of the change, the median over the changed tensors of two or more dimensions."),
    )  # fmt: skip

    def applies(self, subject: Subject) -> str | None:
        """Skipped where no parent is claimed."""
        if subject.against:
            return None
        return (
            "no parent is named: `against: MODEL` at the check, or `history: {from: MODEL}` at the model "
            f"{subject.model.name}"
        )

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The tensors of the model beside those of each claimed parent."""
        return {"family": family_of(subject)}

    def measure(self, *args: Any, family: Family, **artifacts: Any) -> Evidence:
        """Exact facts about each pair of models."""
        several = len(family.kin) > 1
        return Evidence(
            measurements=tuple(one for kin in family.kin for one in self._facts(kin, kin.other if several else "")),
            blocks=tuple(block for kin in family.kin for block in lineage_blocks(kin)),
            notes=tuple(dict.fromkeys(note for kin in family.kin for note in lineage_notes(kin))),
        )

    def _facts(self, kin: Kin, of: str) -> list[Measurement]:
        descent = kin.descent
        found = {
            "parent_correlation": descent.correlation(),
            "unexplained_tensors": float(descent.unexplained()),
            "changed_share": descent.changed_share(),
            "update_stable_rank": descent.stable_rank(),
        }
        return [self.exact(name, value, of=of) for name, value in found.items() if value is not None]
