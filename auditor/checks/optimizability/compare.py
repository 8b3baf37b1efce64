"""Which of several models, or of several recipes of one, is the best on this task, and is that more than chance?"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from auditor.artifacts.candidate_pages import LEVEL, SEEDS, pages, remarks
from auditor.artifacts.candidates import Candidate, Candidates, candidates_of
from auditor.artifacts.entrants import incomparable
from auditor.check import About, Check, Pillar
from auditor.evidence import Enclosure, Evidence, Measurement, Metric, Moments, Quantiles, Unit
from auditor.needs import Need
from auditor.subject import Globs, Subject

if TYPE_CHECKING:
    from auditor.methods.candidates import Apart, Race, Tolerance

CHOOSE = "Read the recommendation: where another candidate is better beyond its interval, take that one's recipe."


class Compare(Check):
    """Which candidate is the best: other models, or the model's own recipe with a factor changed.

    Figure: a table of scores and costs, the differences, and the validation losses with a band over the seeds.
    """

    pillar: ClassVar[Pillar] = "optimizability"
    about: ClassVar[About] = About(
        title="Candidates compared",
        question="Which of these candidates does best on the same data, beyond what seeds and examples explain?",
        formula="superiority = P(loss < loss') + P(loss = loss') / 2 over a fresh seed and a fresh example;  "
        "difference = mean over seeds and examples of the model's score less the other's",
        method="Candidates are the models of `against`, each a fine-tune or as it is, and the audited fine-tune's own "
        "recipe with one factor changed at a time (`lr`, `optimizer`, `freeze`). All answer the same examples; seed "
        "k stands beside seed k, a model without seeds beside each. The variance of a difference is that of the "
        "seeds' means plus that of the examples' means, less the interaction that both hold; Student's interval has "
        "Satterthwaite's degrees of freedom; of accuracies, four examples more are in it, two won and two lost. "
        "Superiority is resampled over seeds and examples, stretched to that variance and Student's t on the scale "
        "of log odds; losses equal to rounding tie. With one seed, claims are about these models alone. The "
        "recommendation allows for the best being chosen by looking (Hsu, with Bonferroni). Times are those to the "
        "worst of the candidates' lowest validation losses; lr_tolerance lies between the rates that are surely "
        "within and those that are surely not.",
        reading="A difference is shown only if its interval excludes 0. Superiority of one half: neither is better; of "
        "0.9: in nine of ten cases the model has the lower loss. It counts how often, the differences how much.",
        limits="Equal steps are no equal tuning: a learning rate found for one candidate is unfair to the others. "
        "Seeds of two recipes are drawn apart, so pairing them takes nothing out. Both models may be right and one "
        "have the lower loss: read superiority beside accuracy. Fewer than five seeds decide nothing of recipes, nor "
        "fewer than 30 examples. Pretraining is in no budget. Masked models guess tokens drawn for each apart.",
        citation="Owen, Annals of Applied Statistics 1 (2007). Bouthillier et al., Accounting for Variance in Machine "
        "Learning Benchmarks, MLSys 2021. Hsu, Ann. Statist. 12 (1984). Agresti & Min, Statist. Med. 24 (2005).",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="superiority", better="up", interval="bootstrap", resampling="example", what_to_try=CHOOSE,
               doc="Probability that the model has a lower loss than the other on a fresh example with a fresh seed."),
        Metric(name="accuracy_difference", better="up", interval="t", resampling="example", what_to_try=CHOOSE,
               doc="Accuracy of the model less that of the other on the same examples."),
        Metric(name="loss_difference", better="down", interval="t", resampling="example", what_to_try=CHOOSE,
               doc="Mean loss of the model less that of the other: nats, of a regression squared units, of texts the "
               "mean over texts of nats a token (a byte, where tokenizers differ)."),
        Metric(name="steps_to_target_validation", unit="steps", better="down", interval="t", resampling="seed",
               doc="First recorded step with a validation loss of at most the worst of the candidates' minima.",
               what_to_try="Raise the learning rate or lengthen the warm-up: others reach this loss in fewer steps."),
        Metric(name="lr_tolerance", unit="decades", better="up", interval="enclosure",
               doc="Decades of learning rate around the best whose mean loss is at most 1.1 times the lowest.",
               what_to_try="Add warm-up, clip gradients or use an adaptive optimizer, so that the rate matters less."),
    )  # fmt: skip

    lr: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (), max_length=12, description="Learning rates to try in the model's own recipe."
    )
    optimizer: tuple[Literal["sgd", "adam", "adamw"], ...] = Field((), description="Optimizers to try in it.")
    freeze: tuple[Globs, ...] = Field(
        (), max_length=12, description="What to leave alone in it: a list of lists of globs, e.g. [[], [conv1.*]]."
    )
    rows: int = Field(2000, ge=2, description="Ask the first rows of the data.")

    @property
    def _factors(self) -> dict[str, tuple[Any, ...]]:
        return {"lr": self.lr, "optimizer": self.optimizer, "freeze": self.freeze}

    def applies(self, subject: Subject) -> str | None:
        """Two candidates for one task, and labels."""
        return incomparable(subject, self._factors)

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The answers of all seeds of all candidates, their records and prices."""
        return {"candidates": candidates_of(subject, self._factors, self.rows)}

    def measure(self, *args: Any, candidates: Candidates, seed: int, **artifacts: Any) -> Evidence:
        """The model against each other candidate, then all together."""
        from auditor.methods.candidates import apart, standing

        own, *others = candidates.each
        tolerance, race = candidates.tolerance(LEVEL), candidates.race()
        measured = [
            self._pair(one, other.name, candidates.drawn)
            for other in others for one in apart(own.scores, other.scores, candidates.groups, seed)
        ]  # fmt: skip
        measured += self._times(race)
        measured += [self._tolerance(tolerance, own)] if tolerance else []
        best = standing({one.name: one.scores for one in candidates.each}, candidates.groups, LEVEL)
        return Evidence(
            measurements=tuple(measured), blocks=pages(candidates, best, race, tolerance),
            notes=tuple(dict.fromkeys(remarks(candidates, tolerance))), inapplicable=candidates.cannot(),
        )  # fmt: skip

    def _pair(self, one: "Apart", of: str, unit: Unit) -> Measurement:
        """A lower bound may fail or pass as one; an upper bound decides nothing."""
        mean, sd, n = one.found.moments
        told, by_seed = Moments(mean=mean, sd=sd, n=n), one.found.by_seed
        drawn = {"n": one.found.limiting, "unit_of_resampling": "seed" if by_seed else unit, "method": "t"}
        found = self.sampled(one.name, told, of=of).model_copy(update={**drawn, "censored": one.bound == "lower"})
        if one.drawn is not None:
            replaced = {"n": one.found.units, "unit_of_resampling": unit, "method": "bootstrap"}
            found = found.model_copy(update={**replaced, "distribution": Quantiles(values=one.drawn)})
        return found.undecided() if one.bound == "upper" else found

    def _times(self, race: "Race | None") -> Iterator[Measurement]:
        for name, times in race.times.items() if race else ():
            censored = not all(reached for _, reached in times)
            yield self.averaged("steps_to_target_validation", [time for time, _ in times], name, censored=censored)

    def _tolerance(self, found: "Tolerance", own: Candidate) -> Measurement:
        """What the grid encloses; a bound where it ends too early, and undecided with too few seeds or examples."""
        if found.outer is None:
            one = self.exact("lr_tolerance", found.inner).model_copy(update={"censored": True})
        else:
            one = self.sampled("lr_tolerance", Enclosure(low=found.inner, high=found.outer))
        return one if found.decides and len(own.scores.loss) >= SEEDS else one.undecided()
