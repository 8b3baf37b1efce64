"""Candidates as a report shows them: a table, curves, learning rates side by side, and a recommendation in words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from auditor.artifacts.candidates import Candidate, Candidates
from auditor.artifacts.curves import seed_curves
from auditor.blocks import MAX_ROWS, AnyBlock, Bar, Bars, Cell, Line, Lines, Table, Text

if TYPE_CHECKING:
    from auditor.methods.candidates import Race, Standing, Tolerance
    from auditor.methods.two_way import TwoWay

LEVEL = 0.95
SEEDS = 5


def pages(
    found: Candidates, standing: "Standing | None", race: "Race | None", tolerance: "Tolerance | None"
) -> tuple[AnyBlock, ...]:
    """All that is shown, the recommendation first."""
    own, *others = found.each
    right = own.scores.right is not None
    less = {
        one.name: own.scores.less(one.scores, found.groups)
        for one in others if right or (one.scores.finite and own.scores.finite)
    }  # fmt: skip
    gaps = {name: one if right else one.swapped() for name, one in less.items()}
    return (
        recommendation(found, standing),
        table(found),
        *((differences(own.name, gaps, "accuracy" if right else "loss"),) if gaps else ()),
        *curves(found),
        *((waits(race),) if race else ()),
        *((rates(found, tolerance.best),) if tolerance else ()),
    )


def table(found: Candidates) -> Table:
    """One row a candidate: what it scores, and what it costs."""
    import numpy as np

    rows: list[tuple[Cell, ...]] = []
    for each in found.each[:MAX_ROWS]:
        scores = each.scores
        accuracy = None if scores.right is None else round(float(scores.right.mean()), 4)
        loss = float(scores.loss.mean())
        sizes = (_millions(each.price.parameters), _millions(_trained(each)), round(each.price.flops / 1e6, 3))
        mean = round(loss, 4) if np.isfinite(loss) else None
        rows.append((each.name, len(scores.loss), accuracy, mean, *sizes, _budget(each)))
    classes = found.each[0].scores.right is not None
    columns = (
        "candidate", "seeds", "accuracy", f"loss ({found.unit})", "parameters (M)", "trained (M)", "MFLOP an example",
        "examples trained on",
    )  # fmt: skip
    keep = [at for at in range(len(columns)) if classes or columns[at] != "accuracy"]
    return Table(
        title="Candidates", columns=tuple(columns[at] for at in keep),
        rows=tuple(tuple(row[at] for at in keep) for row in rows), more=max(0, len(found.each) - MAX_ROWS),
        reading=f"Means over the seeds and the same {len(found.examples):,} examples. A MFLOP is a million "
        "operations of one forward pass; a multiplication with its addition counts as two.",
    )  # fmt: skip


def _millions(count: int | None) -> float | None:
    return None if count is None else round(count / 1e6, 4)


def _trained(each: Candidate) -> int | None:
    if each.trajectory is None:
        return None
    part = each.trajectory.runs[0].changes
    return int(part.sizes[part.trained].sum())


def _budget(each: Candidate) -> int | None:
    """Examples in the batches that were made, of all tasks: the mean over the seeds, some of which may end early."""
    if each.trajectory is None:
        return None
    ref, runs = each.entrant.ref, each.trajectory.runs
    most = ref.recipe.batch_size if ref.recipe else 0
    beside = sum(min(most, task.model.train.used) for task in ref.tasks[1:] if task.model.train)
    return round(sum(len(run.loss) * (run.batch_size + beside) for run in runs) / len(runs))


def differences(model: str, gaps: "Mapping[str, TwoWay]", what: str) -> Bars:
    """The audited model less each other, with 95% intervals."""
    bars = []
    for name, gap in gaps.items():
        low, high = gap.interval(LEVEL)
        ends = {"low": low, "high": high} if gap.units > 1 else {}  # one group alone bounds nothing
        bars.append(Bar(label=name, value=gap.mean, **ends))
    return Bars(
        title=f"{what.capitalize()} of {model} less that of each other", x_label=f"difference of the {what}",
        bars=tuple(bars[:60]), reference=(0.0, "no difference"),
        reading="An interval that holds 0 shows no difference. Each interval is a 95% interval of its own.",
    )  # fmt: skip


def curves(found: Candidates) -> tuple[AnyBlock, ...]:
    """The validation losses of all that were trained here."""
    histories = {
        each.name: [(run.record_steps, run.validation_loss) for run in each.trajectory.runs]
        for each in found.each if each.trajectory is not None
    }  # fmt: skip
    if not histories:
        return ()
    reading = "Loss on the validation data, in evaluation mode."
    return (seed_curves("Validation loss of the candidates", "loss", histories, reading),)


def waits(race: "Race") -> Lines:
    """The Kaplan-Meier curves of the steps to the common target."""
    from auditor.methods.training.curves import kaplan_meier

    lines = []
    for name, times in race.times.items():
        at, share = kaplan_meier([time for time, _ in times], [reached for _, reached in times])
        x = [*[float(time) for time in at for _ in range(2)][1:], max(race.horizon, float(at[-1]))]
        lines.append(Line(label=name, x=tuple(x), y=tuple(float(part) for part in share for _ in range(2))))
    return Lines(
        title=f"Seeds still above a loss of {race.target:.3g}", x_label="training step", y_label="share of seeds",
        lines=tuple(lines),
        reading="Kaplan-Meier curves. The target is the worst of the candidates' lowest validation losses, so every "
        "candidate that learned reaches about that much.",
    )  # fmt: skip


def rates(found: Candidates, best: float) -> Lines:
    """The mean loss against the learning rate, with the band over seeds."""
    kept = {rate: each for rate, each in sorted(found.grid.items()) if each.scores.finite}
    means = [each.scores.loss.mean(axis=1) for each in kept.values()]
    line = Line(
        label="mean loss", x=tuple(kept), y=tuple(float(one.mean()) for one in means),
        low=tuple(float(one.min()) for one in means), high=tuple(float(one.max()) for one in means),
    )  # fmt: skip
    return Lines(
        title="Loss by learning rate", x_label="learning rate", y_label=f"loss ({found.unit})", lines=(line,),
        x_log=True, marks=((best, "lowest"),),
        reading="The mean over seeds and examples; the band reaches from the lowest seed to the highest.",
    )  # fmt: skip


def recommendation(found: Candidates, standing: "Standing | None") -> Text:
    """What the intervals support, in words."""
    return Text(title="Recommendation", text=" ".join(_sentences(found, standing)))


def _sentences(found: Candidates, standing: "Standing | None") -> Iterator[str]:
    if standing is None:
        yield "None: no candidate's training ended well."
        return
    by = "accuracy" if found.each[0].scores.right is not None else "loss"
    seeds = [len(each.scores.loss) for each in found.each]
    if few := [count for count in seeds if 1 < count < SEEDS]:
        yield f"Descriptive only: {min(few)} seeds, and a claim about a recipe takes {SEEDS}."
    elif single := [each.name for each in found.each if each.entrant.ref.recipe and len(each.scores.loss) == 1]:
        whose = f" of {_listed(single)}" if max(seeds) > 1 else ""
        yield f"One seed{whose}: this speaks of these very models, not of their recipes."
    if standing.beaten and not standing.equal:
        yield f"{standing.best}: by {by} it is the best, ahead of {_listed(standing.beaten)}."
    elif standing.beaten:
        yield f"Not {_listed(standing.beaten)}: by {by} {_worse(standing.beaten)} not the best."
    if standing.equal:
        yield from _undecided(found, standing, by)
    if standing.lost:
        yield f"Not {_listed(standing.lost)}: training diverged, or answers were not finite."


def _undecided(found: Candidates, standing: "Standing", by: str) -> Iterator[str]:
    for name, gap in standing.equal.items():
        yield f"No difference in {by} can be shown between {standing.best} and {name}; {_decide(found, standing, gap)}."
    price = {each.name: each.price for each in found.each}
    names = (standing.best, *standing.equal)
    cheap = min(names, key=lambda name: price[name].flops)
    dear = max(price[name].flops for name in names)
    if price[cheap].flops > 0 and dear > 1.05 * price[cheap].flops:
        times = dear / price[cheap].flops
        yield f"Of these, {cheap} is the cheapest to run: the dearest takes {times:.3g} times as much."


def _decide(found: Candidates, standing: "Standing", gap: "TwoWay") -> str:
    more = gap.would_decide(standing.confidence)
    if more is None:
        return f"no realistic number of {'seeds' if gap.by_seed else f'{found.drawn}s'} would decide"
    counts = {"seeds": (gap.replicates, more[0]), f"{found.drawn}s": (gap.units, more[1])}
    needed = [f"{count:,} {what}" for what, (now, count) in counts.items() if count > now]
    return f"about {' and '.join(needed)} would decide"


def _worse(names: Mapping[str, object]) -> str:
    return "it is" if len(names) == 1 else "they are"


def _listed(names: Mapping[str, object] | Sequence[str]) -> str:
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last


def remarks(found: Candidates, tolerance: "Tolerance | None") -> Iterator[str]:
    """What the candidates do not share, what each says of itself, and how fine the grid of learning rates is."""
    yield from found.notes
    yield from _unshared(found)
    for each in found.each:
        if each.entrant.ref.recipe is None:
            yield f"{each.name} is taken as it is; what its training cost is not known here."
        if not each.scores.finite:
            yield f"{each.name} gave answers that are not finite: they count as wrong, and no losses are subtracted."
        yield from (f"{each.name}: {note}" for note in each.notes)
    if tolerance is not None:
        inside = ", ".join(f"{rate:g}" for rate in tolerance.inside)
        unsure = f"; not known of {', '.join(f'{rate:g}' for rate in tolerance.unsure)}" if tolerance.unsure else ""
        yield f"Learning rates that surely do within 10% of the best ({tolerance.best:g}): {inside}{unsure}."


def _unshared(found: Candidates) -> Iterator[str]:
    """Budgets, numbers of seeds and training data."""
    tuned = [each for each in found.each if each.entrant.ref.recipe is not None]
    budgets = {each.name: _budget(each) for each in tuned}
    if len(set(budgets.values())) > 1:
        told = "; ".join(f"{name} {count:,}" for name, count in budgets.items())
        yield f"The budgets differ, in examples trained on (steps made times batch, pretraining aside): {told}."
    elif len(tuned) > 1:
        seen = next(iter(budgets.values()))
        yield f"One budget: every fine-tune saw {seen:,} examples (steps made times batch, pretraining aside)."
    if len({len(each.scores.loss) for each in tuned if len(each.scores.loss) > 1}) > 1:
        yield "Of unequal numbers of seeds the first that both have are compared; the table's means are over all."
    if len({each.entrant.ref.train.digest for each in tuned if each.entrant.ref.train}) > 1:
        yield "The candidates were not trained on the same data."
