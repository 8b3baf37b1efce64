"""The pages of a diagnosis: the word with what to try, the numbers behind it, and the curves that decide."""

from collections import Counter
from typing import TYPE_CHECKING

from auditor.artifacts.curves import seed_curves
from auditor.artifacts.probed import Probed
from auditor.artifacts.trajectory import Trajectory
from auditor.blocks import AnyBlock, Lines, Table, Text
from auditor.evidence import CountsPair, Quantiles

if TYPE_CHECKING:
    from auditor.methods.training.diagnosis import Rate, Signs

TRY = {
    "diverged": "Lower the learning rate, add warm-up, or clip gradients.",
    "label noise": "Relabel the doubtful examples, beginning with the most frequent pair of classes, and audit again: "
    "the curves of a fine-tune do not show wrong labels.",
    "underfitting": "Train longer, with a higher learning rate, or take a larger model; see whether gradients reach "
    "every layer (optimizability.gradient_norm).",
    "overfitting": "Collect more data or augment them, regularize (weight decay, dropout), or train fewer layers.",
    "good fit": "Nothing has to be changed for the sake of the fit.",
    "undetermined": "See below which fault is open: more validation rows or more seeds narrow the intervals.",
}  # fmt: skip
AT_ONCE = "The loss before the first step was not finite or far above that of guessing: look at the initialization and "
AT_ONCE += "the scale of the inputs before the learning rate."
STOP = "The validation loss rose again before the end: stop earlier."

NO_CLASSES = "a task without classes has no accuracy, and no labels that a probe could doubt"
NO_PROBE = "no probe: fewer than two classes have 20 training examples that can be held out while others are kept"
OUTDONE = "the model does better on validation data than the probe, whose doubts may only be beyond it"


def gap_between(first: "Rate", second: "Rate", unknown: float = 0.0) -> tuple[float, CountsPair | Quantiles, int]:
    """A difference of two rates, its distribution, and the units of the smaller sample; unknown: as for gap_at_grid."""
    from auditor.methods.training.diagnosis import counts, gap_at_grid

    units = min(n for _, n in (first, second) if n)
    if first[1] and second[1] and not unknown:
        k1, n1, k2, n2 = counts(first, second)
        return k1 / n1 - k2 / n2, CountsPair(k1=k1, n1=n1, k2=k2, n2=n2), units
    return first[0] - second[0], Quantiles(values=gap_at_grid(first, second, unknown)), units


def not_had(found: "Signs", probed: Probed | None) -> dict[str, str]:
    """The metrics that cannot be had, and why."""
    if probed is None or not len(probed.right):
        why = NO_CLASSES if probed is None else NO_PROBE
        return dict.fromkeys(("label_noise_share", "underfit_gap", "good_fit"), why)
    return {} if found.fit else {"label_noise_share": OUTDONE}


def diagnosis_blocks(found: "Signs", probed: Probed | None, trajectory: Trajectory) -> tuple[AnyBlock, ...]:
    """All of them."""
    return (_verdict(found), _states(found), *_curves(trajectory), *_doubtful(probed))


def _verdict(found: "Signs") -> Text:
    word = found.word
    said = [f"{word[0].upper()}{word[1:]}.", TRY[word]]
    lost = f"{found.lost} of {found.seeds} seeds diverged, and are left out of all that follows; first of all:"
    said += [f"{lost} {_small(TRY['diverged'])}"] if found.lost and word != "diverged" else []
    said += [AT_ONCE] if word == "diverged" and found.at_once else []
    said += [STOP] if word == "overfitting" and found.risen > 0 else []
    return Text(title="Diagnosis", text=" ".join(said), reading="The first fault, in the order of the table, that the "
                "numbers show; a good fit only where all are excluded.")  # fmt: skip


def _small(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def _states(found: "Signs") -> Table:
    shown = {"found": "found", "excluded": "excluded", "open": "neither found nor excluded"}
    rows = tuple((name, shown[state.value], _number(name, found)) for name, state in found.states.items())
    return Table(title="Faults in their order", columns=("fault", "by these numbers", "from"), rows=rows,
                 reading="A fault is found if its whole interval lies above what is tolerated, and excluded if the "
                 "whole interval lies below.")  # fmt: skip


def _number(name: str, found: "Signs") -> str:
    if name == "diverged":
        return f"{found.lost} of {found.seeds} seeds"
    if name == "overfitting":
        return f"the gap, and a validation loss of whose way {found.risen:.0%} was up again"
    return {"label noise": "doubted labels", "underfitting": "a probe's accuracy less the model's"}[name]


def _curves(trajectory: Trajectory) -> tuple[Lines, ...]:
    runs = trajectory.runs
    losses = {
        "validation data": [(run.record_steps, run.validation_loss) for run in runs],
        "training data": [(run.record_steps, run.train_loss) for run in runs],
    }
    reading = "In evaluation mode. Both stay high: underfitting. They part, or the upper one turns up: overfitting. "
    reading += "Wrong labels do not show here."
    curves = [seed_curves("Loss over the fine-tune", "loss", losses, reading)]
    shares = {
        "validation data": [
            (run.record_steps, seen) for run in runs if (seen := run.accuracy("validation")) is not None
        ],
        "training data": [(run.record_steps, y) for run in runs if (y := run.accuracy("train")) is not None],
    }
    if all(len(histories) == len(runs) for histories in shares.values()):
        curves.append(seed_curves("Accuracy over the fine-tune", "accuracy", shares, "In evaluation mode."))
    return tuple(curves)


def _doubtful(probed: Probed | None, shown: int = 15) -> tuple[Table, ...]:
    if probed is None or not probed.doubted.any():
        return ()
    pairs = Counter((probed.labels[row], probed.guesses[row]) for row in probed.doubted.nonzero()[0].tolist())
    rows = tuple((label, guess, count) for (label, guess), count in pairs.most_common(shown))
    return (
        Table(title="Doubted training labels", columns=("label", "the probe says", "examples"), rows=rows,
              more=max(0, len(pairs) - shown), reading="Labels that a probe confidently contradicts which never saw "
              "these examples: wrong labels, or hard examples."),
    )  # fmt: skip
