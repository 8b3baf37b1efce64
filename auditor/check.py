"""Check: needs in, evidence out. Its fields are its YAML parameters; it knows no threshold and no page."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from auditor.evidence import (
    Counts,
    CountsPair,
    Distribution,
    Enclosure,
    Evidence,
    Measurement,
    Metric,
    Moments,
    NoDistribution,
    Quantiles,
)
from auditor.needs import Need
from auditor.statistics import cluster_bootstrap, grouped, moments, stratified_bootstrap
from auditor.subject import Subject
from auditor.values import Value

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Pillar = Literal["task", "interpretability", "traceability", "optimizability"]
PILLARS: tuple[Pillar, ...] = ("task", "interpretability", "traceability", "optimizability")


class About(Value):
    """What the documentation page and the report say of a check, in plain words."""

    title: str
    question: str
    formula: str
    method: str
    reading: str
    limits: str
    citation: str


class Check(Value, ABC):
    """One question about a model. The class docstring's first line is its entry in the catalogue, and its paragraph
    "Figure: ..." says on the documentation page what is shown.

    A check is pure: `measure` turns artifacts (numpy arrays in frozen dataclasses) into numbers and blocks.
    A parameter of measure() named `seed` receives the seed of the check's own resampling.
    """

    pillar: ClassVar[Pillar]
    version: ClassVar[int] = 1
    about: ClassVar[About]
    metrics: ClassVar[tuple[Metric, ...]]

    @abstractmethod
    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The artifacts it measures, by the parameter names of measure()."""

    def applies(self, subject: Subject) -> str | None:
        """None, or the reason why this check does not apply to the subject as described."""
        return None

    @abstractmethod
    def measure(self, *args: Any, **artifacts: Any) -> Evidence:
        """Numbers with their sampling distributions, and blocks to show. Raises NotApplicable(reason)."""

    @classmethod
    def metric(cls, name: str) -> Metric:
        """The declared metric of that name; KeyError if it was not declared."""
        return {metric.name: metric for metric in cls.metrics}[name]

    @classmethod
    def sampled(cls, name: str, distribution: Distribution, value: float | None = None, of: str = "") -> Measurement:
        """A measurement drawn from a population; the estimate is read off the distribution where it holds it.

        `value` must be given for a bootstrap (Quantiles), whose distribution does not hold the estimate;
        its `n` is then passed through `replicated`.
        """
        metric = cls.metric(name)
        estimate, n = _estimate(distribution)
        return Measurement(
            name=name, of=of, value=estimate if value is None else value, unit=metric.unit, n=n,
            method=metric.interval, unit_of_resampling=metric.resampling, kind="sampled", distribution=distribution,
        )  # fmt: skip

    @classmethod
    def replicated(cls, name: str, value: float, distribution: Distribution, n: int, of: str = "") -> Measurement:
        """A measurement over n units whose distribution does not hold n (bootstrap quantiles, an enclosure)."""
        return cls.sampled(name, distribution, value=value, of=of).model_copy(update={"n": n})

    @classmethod
    def resampled(
        cls,
        name: str,
        estimate: Callable[[Any], float],
        strata: "ArrayLike",
        groups: Sequence[str],
        seed: int,
        of: str = "",
    ) -> Measurement:
        """A bootstrap of estimate(rows): rows are drawn anew within each stratum or, where there are groups, whole
        groups. strata: one label a row. ValueError where a draw has no finite estimate."""
        import numpy as np

        draw, units = (cluster_bootstrap, groups) if groups else (stratified_bootstrap, strata)
        drawn = draw(estimate, units, seed)
        rows = np.arange(np.size(strata))
        n = len(set(groups)) if groups else len(rows)
        found = cls.replicated(name, estimate(rows), Quantiles(values=drawn), n, of)
        return found.model_copy(update={"unit_of_resampling": "group"}) if groups else found

    @classmethod
    def resampled_each(
        cls, estimates: Mapping[str, Callable[[Any], float]], strata: "ArrayLike", groups: Sequence[str], seed: int
    ) -> tuple[list[Measurement], list[str]]:
        """Several metrics resampled, and a note for each that could not be."""
        found: list[Measurement] = []
        notes: list[str] = []
        for name, estimate in estimates.items():
            try:
                found.append(cls.resampled(name, estimate, strata, groups, seed))
            except ValueError as error:
                notes.append(f"{name} was not measured: {error}.")
        return found, notes

    @classmethod
    def averaged(
        cls,
        name: str,
        values: Sequence[float],
        of: str = "",
        *,
        censored: bool = False,
        single: Literal["exact", "unreplicated"] = "unreplicated",
    ) -> Measurement:
        """The mean over independent replicates (seeds), one value each; what a single one counts as, `single` says."""
        mean, sd, n = moments(values)
        if n == 1:
            return cls.exact(name, mean, of=of, kind=single).model_copy(update={"censored": censored})
        found = cls.sampled(name, Moments(mean=mean, sd=sd, n=n), of=of)
        return found.model_copy(update={"censored": censored})

    @classmethod
    def over_examples(cls, name: str, values: Sequence[float], groups: Sequence[str] = (), of: str = "") -> Measurement:
        """The mean of per-example values; with groups, whole groups are the unit (statistics.grouped)."""
        if not groups:
            mean, sd, n = moments(values)
            return cls.sampled(name, Moments(mean=mean, sd=sd, n=n), of=of)
        mean, sd, n = grouped(values, groups)
        by_group = {"method": "t", "unit_of_resampling": "group"}
        return cls.sampled(name, Moments(mean=mean, sd=sd, n=n), of=of).model_copy(update=by_group)

    @classmethod
    def share(cls, name: str, hits: Sequence[bool], groups: Sequence[str] = (), of: str = "") -> Measurement:
        """The share of examples that hit: counts, or with groups the mean over drawn groups.

        Where all groups agree (all hit, or none does) their mean shows no spread: the groups are then counted.
        """
        if groups and len(set(map(bool, hits))) == 1:
            n = len(set(groups))
            counted = cls.sampled(name, Counts(k=n if hits[0] else 0, n=n), of=of)
            return counted.model_copy(update={"method": "wilson", "unit_of_resampling": "group"})
        if groups:
            return cls.over_examples(name, [float(hit) for hit in hits], groups, of)
        return cls.sampled(name, Counts(k=sum(map(bool, hits)), n=len(hits)), of=of)

    @classmethod
    def exact(
        cls,
        name: str,
        value: float,
        n: int = 1,
        of: str = "",
        *,
        kind: Literal["exact", "unreplicated"] = "exact",
    ) -> Measurement:
        """An exact fact about what was measured, or (kind "unreplicated") one replicate of a random thing."""
        metric = cls.metric(name)
        return Measurement(
            name=name,
            of=of,
            value=value,
            unit=metric.unit,
            n=n,
            kind=kind,
            unit_of_resampling=metric.resampling,
        )


def _estimate(distribution: Distribution) -> tuple[float, int]:
    match distribution:
        case Counts(k=k, n=n):
            return k / n, n
        case CountsPair(k1=k1, n1=n1, k2=k2, n2=n2):
            return k1 / n1 - k2 / n2, min(n1, n2)
        case Moments(mean=mean, n=n):
            return mean, n
        case Enclosure(low=low, high=high):
            return (low + high) / 2, 1
        case NoDistribution():
            raise ValueError("a sampled measurement needs a distribution")
        case _:
            return 0.0, 0
