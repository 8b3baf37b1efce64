"""Whether several methods tell the same story of the same examples."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.agreement import Agreement as Found
from auditor.artifacts.agreement import agreement_of
from auditor.artifacts.faithful_figures import plain
from auditor.artifacts.faithfulness import methods_for
from auditor.artifacts.method_names import MethodNames
from auditor.artifacts.side_by_side import side_by_side
from auditor.artifacts.targets import TargetName, refusal
from auditor.blocks import Heatmap
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric
from auditor.needs import Need
from auditor.subject import Subject

TRY = "Ask faithfulness which of the two is true of the model, and show that one only."


class Agreement(Check):
    """Do several methods point at the same places?

    Figure: a matrix of rank correlations between methods, and the maps of some examples side by side.
    """

    pillar: ClassVar[Pillar] = "interpretability"
    about: ClassVar[About] = About(
        title="Agreement",
        question="Do several methods, asked about the same examples, point at the same places?",
        formula="top_k_agreement = (o - k) / (1 - k), o the share of the foremost places that two maps have in common, "
        "k what it is by chance; rank_correlation = Spearman's correlation of the two maps over all places",
        method="The maps of every pair of methods are compared example by example: pictures on a common grid, each "
        "cell the mean over its area, texts over their own tokens, rows over their columns. The foremost tenth is the "
        "default. Sizes of values are compared where one of the two methods has no sign. Examples where a map has the "
        "same value everywhere are left out of its pairs and counted.",
        reading="1 means the same places, 0 no more than chance, below 0 less than chance. Methods that disagree "
        "cannot all be true of the model, so an explanation that only one of them gives deserves doubt.",
        limits="Methods that agree may be wrong together: agreement is no proof of faithfulness. Related methods agree "
        "by construction (saliency and integrated gradients both rest on gradients), and a coarse map can agree with "
        "a fine one only as far as its grid allows.",
        citation="Krishna et al., The disagreement problem in explainable machine learning, TMLR 2024 (arXiv 2022).",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="top_k_agreement", interval="t", resampling="example", what_to_try=TRY,
               doc="Share of the foremost places that two methods have in common, above chance."),
        Metric(name="rank_correlation", interval="t", resampling="example", what_to_try=TRY,
               doc="Rank correlation of the maps of two methods, the mean over the examples."),
    )  # fmt: skip

    methods: MethodNames = Field((), description="Two methods or more; empty takes some that suit the modality.")
    rows: int = Field(32, ge=1, description="Compare the maps of the first rows of the evaluation data.")
    top: float = Field(0.1, gt=0, lt=1, description="The share of the places that counts as foremost.")
    grid: int = Field(16, ge=2, le=64, description="Cells along a picture's side on which maps are compared.")
    target: TargetName = "predicted"

    def applies(self, subject: Subject) -> str | None:
        """Models that have the target, with data, and at least two methods."""
        if len(set(self.methods)) == 1:
            return f"agreement compares methods, and {self.methods[0]} is the only one named"
        return refusal(subject, "agreement", self.target)

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """All pairs of maps."""
        methods = tuple(dict.fromkeys(self.methods)) or methods_for(subject)
        return {"found": agreement_of(subject, methods, self.rows, self.target, self.top, self.grid)}

    def measure(self, *, found: Found) -> Evidence:
        """Both measures of every pair, the matrix, and the maps side by side."""
        import numpy as np

        told, measured = found.explained, list[Measurement]()
        size, samples = len(found.methods), dict[str, tuple[float, ...]]()
        cells = [[1.0 if a == b else None for b in range(size)] for a in range(size)]
        for place, (a, b) in enumerate(found.pairs):
            kept = np.flatnonzero(~(found.flat[a] | found.flat[b]))
            groups = tuple(told.groups[row] for row in kept) if told.groups else ()
            name = f"{found.methods[a]} / {found.methods[b]}"
            for metric, values in (("top_k_agreement", found.top), ("rank_correlation", found.rank)):
                if len(kept):
                    measured.append(self.over_examples(metric, values[place, kept].tolist(), groups, name))
                if len(kept) == len(told.examples):
                    samples[f"{metric}[{name}]"] = tuple(values[place].tolist())
            cells[a][b] = cells[b][a] = measured[-1].value if len(kept) else None
        names = tuple(plain(method) for method in found.methods)
        matrix = Heatmap(
            title="Rank correlation of the methods' maps", rows=names, columns=names, annotate=True, diverging=True,
            values=tuple(map(tuple, cells)), value_label="rank correlation",
            reading="Mean rank correlation of the maps of two methods: 1 the same order of places, 0 no agreement.",
        )  # fmt: skip
        shown = side_by_side("Side by side", dict(zip(found.methods, found.shown, strict=True)), told)
        return Evidence(
            measurements=tuple(measured),
            blocks=(matrix, shown) if shown else (matrix,),
            samples=samples,
            examples=told.examples,
            notes=(*_left_out(found), *told.notes()),
        )


def _left_out(found: Found) -> tuple[str, ...]:
    counts = ((name, int(flat.sum())) for name, flat in zip(found.methods, found.flat, strict=True))
    return tuple(f"{count} of {len(found.flat[0])} maps of {name} have no order and are left out of its pairs."
                 for name, count in counts if count)  # fmt: skip
