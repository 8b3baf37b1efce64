"""What is said and shown of the importance of parameters: numbers with their intervals, and figures."""

from dataclasses import dataclass

from auditor.artifacts.importance import Ablation, Importance
from auditor.blocks import Bar, Bars, Line, Lines
from auditor.evidence import Moments
from auditor.statistics import moments

REPLACED = ("zero", "the mean of their tensor")
SHOWN = 20


def told(importance: Importance) -> dict[str, tuple[float, Moments | None]]:
    """gini and effective_share: the value, and what the blocks of examples say of its spread, None without them.

    Both are shares: an estimate that its error carries beyond 0 or 1 is told as 0 or 1. Left out where
    no parameter has any importance.
    """
    columns = {"gini": (importance.gini, importance.gini_told)}
    columns["effective_share"] = (importance.effective_share, importance.effective_told)
    found: dict[str, tuple[float, Moments | None]] = {}
    for name, (plain, pseudo) in columns.items():
        if plain is not None and len(pseudo):
            mean, sd, n = moments(pseudo)
            mean = min(1.0, max(0.0, mean))
            found[name] = mean, Moments(mean=mean, sd=sd, n=n)
        elif plain is not None:
            found[name] = plain, None
    return found


def remarks(importance: Importance) -> tuple[str, ...]:
    """What a reader of both must know."""
    if importance.gini is None:
        return ("gini and effective_share are not measured: no parameter has any importance.",)
    said, parameters, blocks = [], sum(importance.sizes), len(importance.gini_told)
    if blocks:
        what = "groups" if importance.is_grouped else "examples"
        said.append(
            f"The {importance.examples} examples are left out in {blocks} blocks of {what}, one at a time. As they "
            f"stand, noise included, gini is {importance.gini:.4g}, effective_share {importance.effective_share:.4g}."
        )
    elif importance.read:
        said.append("Too few examples, or none that share important parameters: no error can be told.")
    for name, (value, spread) in told(importance).items():
        if spread and value in (0, 1):
            said.append(f"{name} is estimated at {value:g} or beyond, where no share can be: it is told as {value:g}.")
    if 0 < importance.read < parameters:
        said.append(f"Both are read on {importance.read:,} of {parameters:,} parameters, evenly spread.")
    return tuple(said)


@dataclass(frozen=True)
class Gain:
    """values: the gain on each example by the replacement whose gain is smaller; between: the variance of the random
    sets' mean. Without values, the notes say why."""

    values: tuple[float, ...]
    between: float
    notes: tuple[str, ...]

    def widened(self, spread: Moments) -> Moments:
        """The spread over examples, with that between the random sets added to its standard error."""
        return spread.model_copy(update={"sd": (spread.sd**2 + spread.n * self.between) ** 0.5})


def gained(ablation: Ablation, importance: Importance) -> Gain:
    """The gain of removing the most important parameters, and what was removed."""
    import numpy as np

    gains = ablation.top - ablation.random.mean(axis=1)
    if not np.isfinite(gains).all():
        return Gain((), 0, ("ablation_gain is not measured: a loss is not finite once parameters are removed.",))
    if not ablation.free:
        said = "the most important parameters are all that their tensors hold, so no random set is another one"
        return Gain((), 0, (f"ablation_gain is not measured: {said}.",))
    worse = int(np.argmin(gains.mean(axis=1)))
    means = ablation.random[worse].mean(axis=1)
    removed, parameters = ablation.removed, sum(importance.sizes)
    notes = [
        f"{removed:,} of {parameters:,} parameters are removed, set to {REPLACED[worse]} (the other replacement gains "
        f"{gains[1 - worse].mean():.3g} nats); the loss before is {ablation.before.mean():.3g} nats, without as many "
        f"at random {means.mean():.3g}, over {len(means)} random sets."
    ]
    if ablation.free < removed:
        notes.append(
            f"{removed - ablation.free:,} of these are all that their tensors hold; random sets hold them too."
        )
    return Gain(tuple(gains[worse].tolist()), float(means.var(ddof=1)) / len(means), tuple(notes))


def lorenz_curve(importance: Importance) -> Lines:
    """Share of the parameters against their share of the importance."""
    x, y = importance.lorenz.tolist()
    even = Line(label="all alike", x=(0.0, 1.0), y=(0.0, 1.0))
    return Lines(
        title="Lorenz curve of the importance", x_label="share of the parameters, least important first",
        y_label="share of the importance", lines=(Line(label="this model", x=x, y=y), even),
        reading="The further the curve hangs below the straight line, the fewer parameters carry the importance.",
    )  # fmt: skip


def layer_shares(importance: Importance) -> Bars:
    """For each layer its share of the importance, and its share of the parameters beside it."""
    import numpy as np

    from auditor.methods.importance.score import owners
    from auditor.methods.training.picture import short_names

    groups = owners(importance.tensors)
    total, sizes = max(float(importance.total.sum()), 1e-300), np.array(importance.sizes)
    share = {name: float(importance.total[at].sum()) / total for name, at in groups.items()}
    part = {name: float(sizes[at].sum() / sizes.sum()) for name, at in groups.items()}
    short = dict(zip(groups, short_names(list(groups)), strict=True))
    first = sorted(groups, key=lambda name: -share[name])[:SHOWN]
    bars = [
        bar
        for name in first
        for bar in (
            Bar(label=f"{short[name]}: importance", value=share[name]),
            Bar(label=f"{short[name]}: parameters", value=part[name]),
        )
    ]
    more = len(groups) - len(first)
    return Bars(
        title="Importance by layer", x_label="share", bars=tuple(bars),
        reading="A layer whose share of the importance is far above its share of the parameters carries more than its "
        f"size says.{f' {more} layers with less are left out.' if more else ''}",
    )  # fmt: skip


def ablation_curve(ablation: Ablation) -> Lines:
    """Mean loss against the share of parameters set to zero."""
    share, top, random = ablation.curve.T.tolist()
    lines = (Line(label="most important", x=share, y=top), Line(label="as many at random", x=share, y=random))
    return Lines(
        title="Loss as parameters are removed", x_label="share of the parameters set to zero", y_label="nats",
        lines=lines,
        reading="Where the ranking is true, the loss rises sooner without the most important parameters than without "
        "as many of the same tensors at random.",
    )  # fmt: skip
