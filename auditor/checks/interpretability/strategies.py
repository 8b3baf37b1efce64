"""The Clever Hans search: a part of inputs that decides for a class by itself, wherever it is put."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.method_names import MethodName
from auditor.artifacts.strategies import Hunt, Strategies, hunt_of
from auditor.artifacts.strategy_pages import pages
from auditor.artifacts.targets import refusal
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric
from auditor.needs import Need
from auditor.subject import Subject


class ShortcutSearch(Check):
    """Does a mark at a fixed place, one column or one word decide?

    Figure: what predictions follow, the mean map of the suspicious group, and a gallery of transplants or the
    top tokens.
    """

    pillar: ClassVar[Pillar] = "interpretability"
    about: ClassVar[About] = About(
        title="Strategies",
        question="Does the model rely on a shortcut: a mark at a fixed place, one column, or one word that decides for "
        "a class wherever it is put?",
        formula="transplant_follow = share of examples x, with a donor d of another predicted class, for which "
        "argmax f(x with part R of d) = argmax f(d);  insertion_flip = share of texts x of another predicted class for "
        "which argmax f(token + x) = the token's class;  R and token chosen on half A, shares counted on half B",
        method="The maps of half A are grouped by spectral clustering (SpRAy), their number read off the widest gap of "
        "eigenvalues. Where the mean maps of all, of each group and of each predicted class lie, small square windows "
        "are suspected (at most 7% of a picture), with them the corners and the frame, where marks are left; of rows, "
        "the columns of largest share; of texts, the tokens that speak most for a class by attribution or by where "
        "they occur. Each suspect is tried on half A: the part is moved from an example of another predicted class, "
        "the token is put in front. The one that is followed most is tried on half B, beside the same region elsewhere "
        "(another column, another token) on the same examples. Where `train` is named, the search is run there too: "
        "a mark that the evaluation data do not hold cannot be found in them.",
        reading="A healthy model hardly ever follows a small part: it weighs the whole input. Compare the two bars of "
        "the second half, then look at the mean map and the transplants: is the part something that should decide?",
        limits="One suspect is tested, the strongest; a model may have several shortcuts, and one that is spread out "
        "or moves about is not found. Where one column or word honestly decides, it is followed too: judge what it "
        "means. Mixed inputs are unlike the data. What is followed by chance grows as classes get fewer.",
        citation="Lapuschkin et al., Unmasking Clever Hans predictors and assessing what machines really learn, Nature "
        "Communications 10 (2019). von Luxburg, A tutorial on spectral clustering (2007).",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="transplant_follow", better="down", interval="wilson", resampling="example",
               doc="The share of predictions that become the donor's when the suspicious region or column is moved; on "
               "the half that did not choose it, in the evaluation data and in `train`.",
               what_to_try="Look at the region: cover or randomize it in training, or leave the column out, and audit "
               "again."),
        Metric(name="insertion_flip", better="down", interval="wilson", resampling="example",
               doc="The share of texts of other classes that the suspicious token turns to its class.",
               what_to_try="If the token means nothing for the task, remove it from the training texts or balance it "
               "over the classes, and train again."),
        Metric(name="fixed_position_share", thresholdable=False, interval="t", resampling="example",
               doc="The mean share of a map inside the suspicious part; of texts, how many have their strongest token "
               "at the place where most have it."),
        Metric(name="clusters", thresholdable=False, unit="groups",
               doc="Into how many groups the maps of the first half fall."),
    )  # fmt: skip

    train: str | None = Field(
        None, description="The data set that the model was trained on.", json_schema_extra={"data": True}
    )
    method: MethodName = Field("input_x_gradient", description="The attribution method whose maps are grouped.")
    rows: int = Field(256, ge=80, description="The first rows of each data set; one half chooses, the other tests.")

    def applies(self, subject: Subject) -> str | None:
        """Classifiers with data."""
        return refusal(subject, "the search for shortcuts")

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The search in each data set."""
        return {"hunt": hunt_of(subject, self.method, self.rows)}

    def measure(self, *, hunt: Hunt) -> Evidence:
        """How often predictions follow the suspicious part, on the half that did not choose it."""
        own, train = hunt.own, hunt.train
        missing = (
            "Only the evaluation data were searched. Write `with: {train: NAME}` to search where the model learned."
        )
        found = [*self._of(own, ""), *(self._of(train, "train") if train else ())]
        name = "insertion_flip" if own.kind == "token" else "transplant_follow"
        return Evidence(
            measurements=tuple(found),
            blocks=(*pages(own, "evaluation data"), *(pages(train, "training data") if train else ())),
            samples={name: tuple(own.follow.astype(float).tolist())},
            examples=tuple(own.explained.examples[row] for row in own.rows.tolist()),
            notes=tuple(dict.fromkeys((*own.remarks, *(train.remarks if train else (missing,))))),
        )

    def _of(self, found: Strategies, of: str) -> list[Measurement]:
        name = "insertion_flip" if found.kind == "token" else "transplant_follow"
        return [
            self.share(name, found.follow.tolist(), found.groups, of),
            self.over_examples("fixed_position_share", found.position.tolist(), found.groups, of),
            self.exact("clusters", found.count, n=len(found.clusters), of=of),
        ]
