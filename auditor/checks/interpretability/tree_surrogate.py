"""Whether a few rules say what the model says."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from auditor.artifacts.features import Features, features_of
from auditor.artifacts.rules import curve, halved, rules
from auditor.check import About, Check, Pillar
from auditor.errors import NotApplicable
from auditor.evidence import Evidence, Measurement, Metric, Quantiles
from auditor.needs import Need
from auditor.statistics import cluster_bootstrap, halves, stratified_bootstrap
from auditor.subject import Subject

if TYPE_CHECKING:
    import numpy as np

    Rows = np.ndarray[Any, np.dtype[np.int64]]

READABLE = 3
DEEPEST = 8
FEWEST = 10


class TreeSurrogate(Check):
    """Do a few rules say what the model says?

    Figure: the rules of a small tree, and fidelity against depth.
    """

    pillar: ClassVar[Pillar] = "interpretability"
    about: ClassVar[About] = About(
        title="Tree surrogate",
        question="How well does a small decision tree say what the model says?",
        formula="fidelity = P(tree(x) = model(x)), held out;  fidelity_gain = fidelity - P(model(x) = the model's "
        "majority class);  kappa = (fidelity - chance) / (1 - chance)",
        method="The examples are split into two halves (groups stay together). On one a decision tree learns the "
        "model's label, not the true one; on the other it is compared with the model. Tables are described by their "
        "columns as the model takes them; pictures and texts by what enters the last linear layer, reduced to "
        "principal components of the first half (`components`; 0 keeps the units).",
        reading="A high fidelity and a gain well above 0: the rules in the figure are a fair summary of the model. A "
        "low one: no small tree describes it, and such rules must not be shown as its reasons.",
        limits="A tree can agree for other reasons than the model's. It is compared on data like these, not off them. "
        "On pictures and texts the rules speak of the model's own features, and so only of its last step. A model "
        "that always says the same is imitated perfectly, with a gain of 0.",
        citation="Craven and Shavlik, Extracting tree-structured representations of trained networks, NeurIPS 1995. "
        "Cohen, Educational and Psychological Measurement 20 (1960).",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="fidelity", interval="wilson", resampling="example",
               doc="The share of held-out examples on which the tree says what the model says.",
               what_to_try="Allow a deeper tree, or explain examples one by one instead of the whole model."),
        Metric(name="fidelity_gain", interval="t", resampling="example",
               doc="Fidelity minus that of always saying the model's majority class, paired by example.",
               what_to_try="If fidelity is high without a gain, the model hardly ever says anything but one class."),
        Metric(name="kappa", interval="bootstrap", resampling="example",
               doc="Cohen's kappa of tree and model: their agreement beyond chance.",
               what_to_try="Allow a deeper tree, or look for the classes in which tree and model part."),
        Metric(name="leaves", thresholdable=False, better="down", unit="leaves",
               doc="How many rules the tree has."),
    )  # fmt: skip

    depth: int = Field(5, ge=1, le=20, description="Depth of the tree that is measured.")
    rows: int = Field(1024, ge=2 * FEWEST, description="Use the first rows of the evaluation data.")
    components: int = Field(16, ge=0, le=256, description="Principal components of the units; 0 keeps the units.")

    def applies(self, subject: Subject) -> str | None:
        """Classifiers with data."""
        if subject.data is None:
            return "a tree surrogate needs a data set"
        return None if subject.model.task == "classification" else f"the model's task is {subject.model.task}"

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The features of each example and what the model says of it."""
        return {"features": features_of(subject, self.rows)}

    def measure(self, *, features: Features, seed: int) -> Evidence:
        """Agreement of tree and model on the second half, the curve over depths, and readable rules."""
        from auditor.methods.surrogate import grown

        first, second = halves(features.groups or features.examples, seed)
        if min(len(first), len(second)) < FEWEST:
            raise NotApplicable(f"a tree needs {FEWEST} examples in each half, found {len(first)} and {len(second)}")
        given = halved(features, first, second, self.components)
        depths = sorted({*range(1, DEEPEST + 1), self.depth})
        trees = {depth: grown(given.learn, given.learn_said, depth, seed) for depth in depths}
        agree = {depth: tree.predict(given.test) == given.test_said for depth, tree in trees.items()}
        top = max(sorted(set(given.learn_said.tolist())), key=given.learn_said.tolist().count)
        usual, tree = given.test_said == top, trees[self.depth]
        groups = tuple(features.groups[row] for row in second) if features.groups else ()
        gains = (agree[self.depth].astype(float) - usual).tolist()
        beyond, lost = self._kappa(tree.predict(given.test), given.test_said, groups, seed)
        return Evidence(
            measurements=(
                self.share("fidelity", agree[self.depth].tolist(), groups),
                self.over_examples("fidelity_gain", gains, groups),
                *beyond,
                self.exact("leaves", float(tree.get_n_leaves()), n=len(first)),
            ),
            blocks=(
                curve(depths, list(agree.values()), float(usual.mean()), self.depth),
                rules(trees[min(self.depth, READABLE)], given, features.classes),
            ),
            samples={"fidelity": tuple(agree[self.depth].astype(float).tolist())},
            examples=tuple(features.examples[row] for row in second),
            notes=(given.said, *lost, *features.notes()),
        )

    def _kappa(
        self, tree: "Rows", model: "Rows", groups: tuple[str, ...], seed: int
    ) -> tuple[list[Measurement], list[str]]:
        """Agreement beyond chance; nothing where tree and model say one class only."""
        from auditor.methods.surrogate import kappa

        draw, strata = (cluster_bootstrap, groups) if groups else (stratified_bootstrap, [0] * len(tree))
        try:
            drawn = draw(lambda rows: kappa(tree[rows], model[rows]), strata, seed)
        except ValueError:
            return [], ["kappa was not measured: tree and model say (nearly) always the same class."]
        found = self.replicated("kappa", kappa(tree, model), Quantiles(values=drawn), len(set(groups)) or len(tree))
        return [found.model_copy(update={"unit_of_resampling": "group"}) if groups else found], []
