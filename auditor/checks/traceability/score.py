"""How well can the model be followed: steady layers, and importance held by few parameters?"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from auditor.artifacts.costs import unpriced
from auditor.artifacts.importance import Effects, EffectsNeed, Importance, ImportanceNeed, gathered_of
from auditor.artifacts.standing import Standings, standings
from auditor.artifacts.trajectory import Trajectory, missing, trajectories_of
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric, Moments
from auditor.needs import Need
from auditor.subject import Subject


class Score(Check):
    """How steadily the layers moved and how concentrated their importance is, in one number and one ranking.

    Figure: the layers by score, and their scores over the weight between the two criteria.
    """

    pillar: ClassVar[Pillar] = "traceability"
    version: ClassVar[int] = 2
    about: ClassVar[About] = About(
        title="Traceability score",
        question="Can one follow this model: do its layers move steadily, and do few parameters carry it?",
        formula="layer: alpha u + (1 - alpha) v, u = 1 - minmax(rate) (stable) or minmax(rate) (as_published), "
        "v = minmax(I / sum I);  score = alpha S + (1 - alpha) (1 - N_eff / N), S = median over layers of "
        "exp(-MAD of log(rate / learning rate)), N_eff = (sum I)^2 / sum I^2",
        method="A layer is a module with the tensors that it owns, taken as one vector; its rate is the median "
        "relative change over an interval (of several seeds the median), its importance the sum over its parameters. "
        "Both are cut at their 5th and 95th percentile over the layers and scaled to [0, 1] (ranks would force alpha "
        "= 0.5); where they do not differ, all layers have 0.5. Layers of vectors alone (normalization) are left out "
        "where others own matrices; layers that never moved have a rate of 0 and no part in S. `weighting` chooses "
        "alpha: fixed; entropy (the criterion that is spread more unequally weighs more); critic, which with two "
        "criteria is a ratio of their standard deviations; cross_validated, the alpha whose ranking by the importance "
        "on half of the examples agrees best with what the other half loses when each layer is set to its mean. The "
        "score of the whole is absolute and can be compared between models. Over several seeds its interval is "
        "Student's, widened by the error of N_eff / N over examples; a history of checkpoints is one given history, "
        "so only that error is left; a single seed is a single replicate. Where that error is not known, where a "
        "run diverged or where a history ends in numbers that are not finite, nothing is decided.",
        reading="1: all layers follow the learning rate and one parameter carries all; 0: neither. A rank_stability "
        "near 1 says that the order of the layers hardly depends on alpha; below 0.5 the ranking is a choice of the "
        "weight, and only u and v apart should be read.",
        limits="The score joins two things that no law joins: look at both. The direction `as_published` gives credit "
        "for moving fast. Without known learning rates, S takes a schedule for unsteadiness. N_eff / N depends on the "
        "data. Over few layers scaling rests on the extremes. A rank has no honest interval from few blocks of "
        "examples: rank_stability decides nothing unless importance needs no example (magnitude).",
        citation="Entropy weights: Hwang and Yoon, Multiple attribute decision making, 1981. CRITIC: Diakoulaki, "
        "Mavrotas and Papayannakis, Computers & Operations Research 22 (1995). Kendall, Biometrika 33 (1945).",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="score", better="up", interval="t", resampling="seed",
               doc="alpha S + (1 - alpha) (1 - N_eff / N), between 0 and 1.",
               what_to_try="See which part is low: for S smooth the schedule or clip gradients, for N_eff look at "
               "traceability.importance."),
        Metric(name="alpha", better="up", thresholdable=False, doc="The weight of steadiness."),
        Metric(name="rank_stability", better="up", interval="t", resampling="seed",
               doc="The smaller Kendall tau between the ranking at alpha and those at alpha - 0.2 and alpha + 0.2, for "
               "the importance on these examples.",
               what_to_try="Do not act on the joint ranking: read rates and importances apart."),
    )  # fmt: skip

    kind: Literal["fisher", "taylor", "magnitude"] = Field("fisher", description="What importance means.")
    rows: int = Field(128, ge=2, description="Weigh parameters on the first rows of the data.")
    direction: Literal["stable", "as_published"] = Field("stable", description="Whether slow or fast layers score.")
    weighting: Literal["fixed", "entropy", "critic", "cross_validated"] = Field("fixed", description="Of alpha.")
    alpha: float = Field(0.5, ge=0, le=1, description="The weight of steadiness where it is fixed.")

    def applies(self, subject: Subject) -> str | None:
        """A history, and data under which the model has a likelihood."""
        return missing(subject.history, ("changes",)) or unpriced(subject)

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The trajectory, the importance, and where alpha is to predict it what each layer's removal does."""
        gathered = gathered_of(subject, self.kind, self.rows)
        effects = {"effects": EffectsNeed(gathered)} if self.weighting == "cross_validated" else {}
        return {"trajectory": trajectories_of(subject), "importance": ImportanceNeed(gathered), **effects}

    def measure(self, *, trajectory: Trajectory, importance: Importance, effects: Effects | None = None) -> Evidence:
        """The score, the weight, and how far the ranking depends on it."""
        found = standings(trajectory, importance, effects, self.direction, self.weighting, self.alpha)
        measured = [self._score(found, trajectory.source), self.exact("alpha", found.standing.alpha)]
        if len(found.standing.names) > 1:
            single: Any = "unreplicated" if trajectory.source == "finetune" else "exact"
            agreed = self.averaged("rank_stability", found.rank_stability, single=single)
            measured.append(agreed.undecided() if importance.read else agreed)
        said = (*found.notes, *trajectory.remarks(), *importance.remarks)
        bounds = trajectory.bounded(measured, up=[metric.name for metric in self.metrics])
        return Evidence(measurements=bounds, blocks=found.standing.blocks(), notes=said)

    def _score(self, found: Standings, source: str) -> Measurement:
        """Over seeds, over examples where the history is given, or a single replicate."""
        from auditor.methods.importance.score import overall

        alpha, error = found.standing.alpha, found.share_error
        values = [overall(alpha, each, found.standing.effective_share) for each in found.steadiness]
        added = 0.0 if alpha == 1 else None if error is None else (1 - alpha) * error
        given = source != "finetune"
        plain = self.averaged("score", values, single="exact" if given and added == 0 else "unreplicated")
        if added is None:
            return plain.undecided()
        if isinstance(plain.distribution, Moments):
            n, sd = plain.distribution.n, plain.distribution.sd
            wide = Moments(mean=plain.value, sd=(sd**2 + n * added**2) ** 0.5, n=n)
            return plain.model_copy(update={"distribution": wide})
        if not given or not added:
            return plain
        over = self.sampled("score", Moments(mean=plain.value, sd=added * found.blocks**0.5, n=found.blocks))
        return over.model_copy(update={"unit_of_resampling": "example"})
