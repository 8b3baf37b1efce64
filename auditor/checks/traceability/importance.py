"""Which parameters carry what the model knows, and is that true of them?"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from auditor.artifacts.costs import unpriced
from auditor.artifacts.importance import Ablation, AblationNeed, Importance, ImportanceNeed, gathered_of
from auditor.artifacts.importance_pages import (
    Gain,
    ablation_curve,
    gained,
    layer_shares,
    lorenz_curve,
    remarks,
    told,
)
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric, Moments
from auditor.needs import Need
from auditor.subject import Subject


class Importances(Check):
    """Which parameters carry what the model knows, tested by removing them.

    Figure: the Lorenz curve of importance, its shares by layer, and the loss as parameters are removed.
    """

    pillar: ClassVar[Pillar] = "traceability"
    version: ClassVar[int] = 2
    about: ClassVar[About] = About(
        title="Importance of the parameters",
        question="Is what the model knows carried by few of its parameters, and are they those that count?",
        formula="fisher: I_j = mean over examples of (d log p(y | x) / d theta_j)^2;  taylor: I_j = mean of "
        "|theta_j d loss / d theta_j|;  magnitude: I_j = |theta_j|;  gini = sum_jk |I_j - I_k| / (2 N sum I);  "
        "effective_share = (sum I)^2 / (N sum I^2);  ablation_gain = loss without the top - mean loss without as many "
        "at random",
        method="The gradient of each example's own log-likelihood is taken (in evaluation mode, tied weights once, "
        "frozen ones too). Of a classifier that is the labels' probability, of a regression a normal density with the "
        "mean squared residual as variance, of a causal language model the mean over a text's tokens, of a masked one "
        "the mean over 15% of them, hidden at once. An importance estimated from few examples looks more concentrated "
        "than it is: 32 blocks of examples (whole groups where the data has them) are left out in turn, which removes "
        "that bias and gives the interval; effective_share multiplies different blocks only. Where the model has more "
        "than 2,097,152 parameters, these two are read on as many, evenly spread over all. For the ablation the data "
        "are halved: one half chooses the `top` share of the parameters, those most important, the other measures what "
        "each example loses without them, beyond what it loses without as many of the same tensors at random. They "
        "become zero, and in a second round the mean of their tensor; the smaller gain counts. Its interval is over "
        "the examples, widened by the spread between the random sets. The model is restored bit for bit.",
        reading="A gini near 1 and a small effective_share say that few parameters carry nearly all: changes of those "
        "are what to follow. An ablation_gain whose interval lies above 0 says that the ranking is true of this "
        "model; at 0 it is no better than chance, and gini says nothing.",
        limits="The diagonal of the empirical Fisher information uses the data's labels and leaves out how parameters "
        "act together; near a perfect fit it is small everywhere. Removal is a large change, importance speaks of "
        "small ones. Magnitude needs no data, and its inequality is no evidence of use. Numbers depend on the data "
        "and on the task's loss; compare models only on equal ones. Where the examples' importances differ by orders "
        "of magnitude, intervals of effective_share at 95% cover the truth in about .87 of cases at 32 blocks.",
        citation="Kirkpatrick et al., PNAS 114 (2017). Kunstner, Balles and Hennig, NeurIPS 2019. Molchanov et al., "
        "Pruning convolutional neural networks for resource efficient inference, ICLR 2017. Gini, 1912. Kish, Survey "
        "sampling, 1965. Tukey, Annals of Mathematical Statistics 29 (1958), on the jackknife.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="gini", better="up", interval="t", resampling="example",
               doc="Inequality of the importance over all parameters: 0 all alike, near 1 few have all.",
               what_to_try="Look at the layers' bars: importance spread evenly leaves no small part to follow."),
        Metric(name="effective_share", better="down", interval="t", resampling="example",
               doc="N_eff / N: the share of equally important parameters that would be as concentrated.",
               what_to_try="Look at the Lorenz curve: prune or freeze what carries nothing, and measure again."),
        Metric(name="ablation_gain", unit="nats", better="up", interval="t", resampling="example",
               doc="How much more the loss rises without the most important share than without random parameters.",
               what_to_try="Weigh more examples (`rows`), or another `kind`: this ranking does not find what counts."),
    )  # fmt: skip

    kind: Literal["fisher", "taylor", "magnitude"] = Field("fisher", description="What importance means.")
    rows: int = Field(128, ge=2, description="Weigh and test on the first rows of the data, half each.")
    top: float = Field(
        0.01, gt=0, le=0.5,
        description="Of all parameters, how many are removed: few enough that random ones are hardly missed.",
    )  # fmt: skip
    sets: int = Field(10, ge=10, le=1000, description="Random sets that the removal is compared with.")

    def applies(self, subject: Subject) -> str | None:
        """Whatever gives its data a likelihood."""
        return unpriced(subject)

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The importance and the ablation, from the same gradients."""
        gathered = gathered_of(subject, self.kind, self.rows)
        return {"importance": ImportanceNeed(gathered), "ablation": AblationNeed(gathered, self.top, self.sets)}

    def measure(self, *, importance: Importance, ablation: Ablation) -> Evidence:
        """Both inequalities, the gain, and their figures."""
        gain = gained(ablation, importance)
        return Evidence(
            measurements=(*self._inequality(importance), *self._gain(gain, ablation.groups)),
            blocks=(lorenz_curve(importance), layer_shares(importance), ablation_curve(ablation)),
            samples={"ablation_gain": gain.values} if gain.values else {},
            examples=ablation.examples if gain.values else (),
            notes=(*remarks(importance), *gain.notes, *importance.remarks),
        )

    def _inequality(self, importance: Importance) -> Iterator[Measurement]:
        """Over blocks of examples; exact facts of the weights where no example was asked, else single replicates."""
        for name, (value, spread) in told(importance).items():
            if spread is None:
                kind: Literal["exact", "unreplicated"] = "unreplicated" if importance.read else "exact"
                yield self.exact(name, value, n=importance.examples, kind=kind)
            else:
                unit = {"unit_of_resampling": "group"} if importance.is_grouped else {}
                yield self.sampled(name, spread).model_copy(update=unit)

    def _gain(self, gain: Gain, groups: tuple[str, ...]) -> Iterator[Measurement]:
        if gain.values:
            found = self.over_examples("ablation_gain", gain.values, groups)
            if isinstance(found.distribution, Moments):
                found = found.model_copy(update={"distribution": gain.widened(found.distribution)})
            yield found
