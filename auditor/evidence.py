"""Evidence: what a check found, with its sampling distribution and without any opinion."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from auditor.blocks import AnyBlock
from auditor.values import Value

Kind = Literal["exact", "sampled", "unreplicated"]
IntervalMethod = Literal["wilson", "t", "newcombe", "bootstrap", "moving_blocks", "chi2", "enclosure", "none"]
Unit = Literal["example", "document", "group", "record", "probe", "seed", "none"]


class Metric(Value):
    """The declaration of one number that a check measures; its name is a contract.

    `interval` names how judge makes its interval; `resampling` the unit that is drawn at random.
    A metric that is not thresholdable is descriptive: an expectation on it is a spec error.
    """

    name: str
    unit: str = ""
    better: Literal["up", "down"] = "up"
    thresholdable: bool = True
    interval: IntervalMethod = "none"
    resampling: Unit = "none"
    doc: str
    what_to_try: str = Field("", description="One sentence shown when an expectation on it fails.")


class Counts(Value):
    """k successes in n independent units: a proportion."""

    kind: Literal["counts"] = "counts"
    k: int = Field(ge=0)
    n: int = Field(ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> "Counts":
        if self.k > self.n:
            raise ValueError(f"{self.k} successes of {self.n}")
        return self


class CountsPair(Value):
    """Two independent proportions; the estimate is k1/n1 - k2/n2."""

    kind: Literal["counts_pair"] = "counts_pair"
    k1: int = Field(ge=0)
    n1: int = Field(ge=1)
    k2: int = Field(ge=0)
    n2: int = Field(ge=1)


class Moments(Value):
    """The mean of n units with their sample standard deviation (n - 1 in the denominator)."""

    kind: Literal["moments"] = "moments"
    mean: float
    sd: float = Field(ge=0)
    n: int = Field(ge=1)


class Quantiles(Value):
    """The bootstrap distribution of the estimate: `values` at the probabilities of statistics.GRID."""

    kind: Literal["quantiles"] = "quantiles"
    values: tuple[float, ...]


class Enclosure(Value):
    """A rigorous enclosure: the true number lies in [low, high] whatever the confidence."""

    kind: Literal["enclosure"] = "enclosure"
    low: float
    high: float


class NoDistribution(Value):
    """An exact fact, or a number measured once: it has no interval and says so."""

    kind: Literal["none"] = "none"


Distribution = Annotated[
    Counts | CountsPair | Moments | Quantiles | Enclosure | NoDistribution, Field(discriminator="kind")
]


class Measurement(Value):
    """One number: metric `name`, `of` a layer, class or pair ("" for the whole), over n units."""

    name: str
    of: str = ""
    value: float
    unit: str = ""
    n: int = Field(ge=0)
    method: IntervalMethod = "none"
    unit_of_resampling: Unit = "none"
    kind: Kind = "sampled"
    censored: bool = Field(False, description="The value is a lower bound: the event was not reached.")
    distribution: Distribution = NoDistribution()

    @model_validator(mode="after")
    def _kind_fits(self) -> "Measurement":
        bare = isinstance(self.distribution, NoDistribution)
        if self.kind == "sampled" and bare:
            raise ValueError(f"{self.name}: a sampled measurement needs its sampling distribution")
        return self

    def undecided(self) -> "Measurement":
        """The number alone, as one replicate of which no error is known: it can neither pass nor fail."""
        bare = {"kind": "unreplicated", "method": "none", "censored": False, "distribution": NoDistribution()}
        return self.model_copy(update=bare)


class Evidence(Value):
    """All that a check found. samples: per-example columns, beside the examples' digests.

    inapplicable: metrics that this model or these data cannot have at all, and why; never what merely went wrong.
    """

    measurements: tuple[Measurement, ...]
    blocks: tuple[AnyBlock, ...] = ()
    samples: dict[str, tuple[float, ...]] = Field(default={}, repr=False)
    examples: tuple[str, ...] = Field((), repr=False, description="Digest of each example, in the order of samples.")
    notes: tuple[str, ...] = Field((), description="What the reader must know: halved batches, examples left out.")
    inapplicable: dict[str, str] = {}

    @model_validator(mode="after")
    def _measured_or_inapplicable(self) -> "Evidence":
        if both := self.inapplicable.keys() & {each.name for each in self.measurements}:
            raise ValueError(f"measured, and said to be inapplicable: {', '.join(sorted(both))}")
        return self

    @model_validator(mode="after")
    def _columns_fit(self) -> "Evidence":
        for name, column in self.samples.items():
            if len(column) != len(self.examples):
                raise ValueError(f"samples {name!r}: {len(column)} values for {len(self.examples)} examples")
        return self


class Failure(Value):
    """Why something has no result; a value beside results, never an exception across a border."""

    kind: Literal["exception", "timeout", "oom", "crashed", "refused", "not_applicable", "interrupted"]
    message: str
    hint: str = ""


class Absent(Value):
    """A check without evidence and without fault: it does not apply (skipped), or was not run."""

    kind: Literal["skipped", "not_run"]
    reason: str


Finding = Evidence | Failure | Absent
