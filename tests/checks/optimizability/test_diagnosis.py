"""optimizability.diagnosis: each fault is named from numbers that show it, a good fit only when all are excluded."""

from typing import Any

import numpy as np
import pytest
from histories import run

from auditor.artifacts.probed import Probed
from auditor.artifacts.trajectory import Trajectory
from auditor.blocks import Table, Text
from auditor.checks.optimizability.diagnosis import Diagnosis
from auditor.evidence import Counts, CountsPair, Evidence, Measurement
from auditor.judge.intervals import interval
from auditor.judge.minimum import obstacle
from auditor.methods.training.diagnosis import blew_up_at_once, gap, has_diverged, rise
from auditor.methods.training.record import Run
from auditor.statistics import newcombe, wilson

ROWS = 400


def fitted(train: float = 0.97, validation: float = 0.94, losses: Any = (2.0, 1.0, 0.3), **more: Any) -> Run:
    """A run of 2 intervals that ends with these accuracies on 400 rows each."""
    right = {f"{side}_correct": np.array([40, 200, round(share * ROWS)])
             for side, share in (("train", train), ("validation", validation))}  # fmt: skip
    return run(validation=losses, **{**right, "train_rows": ROWS, "validation_rows": ROWS, **more})


def probed(right: float = 0.93, doubted: float = 0.005, held: float = 0.92, **more: Any) -> Probed:
    """A probe of 400 training labels of two classes and 400 validation rows."""
    row = np.arange(ROWS)
    given: dict[str, Any] = {
        "doubted": row < doubted * ROWS, "right": row >= ROWS - right * ROWS, "held": row < held * ROWS,
        "labels": ("cat",) * ROWS, "guesses": ("dog",) * ROWS, "examples": tuple(map(str, row)), "groups": (),
        "train_units": (), "held_units": (), "small": (), "classes": 2, "blind": False, "looked": ROWS, "copied": 0,
        "whole": 900,
    }  # fmt: skip
    return Probed(**(given | more))


def measured(*runs: Run, probe: Probed | None = None, **parameters: Any) -> Evidence:
    trajectory = Trajectory("finetune", tuple(one.changes for one in runs), runs)
    return Diagnosis(**parameters).measure(trajectory=trajectory, probed=probe)


def found(evidence: Evidence, name: str) -> Measurement:
    return next(one for one in evidence.measurements if one.name == name)


def word(evidence: Evidence) -> str:
    (text,) = [block for block in evidence.blocks if isinstance(block, Text)]
    assert text.title == "Diagnosis"
    return text.text.split(".")[0].lower()


def states(evidence: Evidence) -> dict[str, str]:
    table = next(block for block in evidence.blocks if isinstance(block, Table) and block.title.startswith("Faults"))
    return {str(row[0]): str(row[1]) for row in table.rows}


LOST = fitted(train=0.1, validation=0.1, losses=(2.0, 3.0, 4.0))
MEMORIZED = fitted(train=1.0, validation=0.7)
WEAK = fitted(train=0.5, validation=0.5)


@pytest.mark.parametrize(
    ("runs", "probe", "said"),
    [
        ([fitted()] * 5, probed(), "good fit"),
        ([LOST] * 5, probed(), "diverged"),
        ([LOST] * 5, probed(doubted=0.9, right=0.1, held=0.1), "diverged"),
        ([fitted(0.79, 0.75)] * 5, probed(right=0.77, doubted=0.2, held=0.76), "label noise"),
        ([fitted(0.2, 0.1)] * 5, probed(right=0.1, doubted=0.9, held=0.1), "label noise"),
        ([WEAK] * 5, probed(), "underfitting"),
        ([MEMORIZED] * 5, probed(), "overfitting"),
        ([fitted(0.97, 0.9, losses=(2.0, 0.2, 1.0))] * 5, probed(), "overfitting"),
        ([fitted(1.0, 0.91)] * 5, probed(), "undetermined"),
        ([LOST, *[fitted()] * 4], probed(), "undetermined"),
        ([fitted(0.97, 0.94)] * 5, probed(right=0.6, doubted=0.3, held=0.6), "undetermined"),
        ([fitted()] * 5, probed(doubted=0.09), "undetermined"),
        ([fitted()], probed(), "good fit"),
    ],
)
def test_the_word_is_the_first_fault_that_is_found(runs: list[Run], probe: Probed, said: str) -> None:
    assert word(measured(*runs, probe=probe)) == said


def test_the_numbers_are_those_of_a_slow_count() -> None:
    evidence = measured(*[fitted(1.0, 0.9), fitted(0.98, 0.8)], probe=probed(right=0.93, doubted=0.1))
    assert (found(evidence, "diverged_share").value, found(evidence, "diverged_share").kind) == (0.0, "exact")
    assert found(evidence, "label_noise_share").distribution == Counts(k=40, n=400)
    under, over = found(evidence, "underfit_gap"), found(evidence, "overfit_gap")
    assert under.distribution == CountsPair(k1=372, n1=400, k2=396, n2=400)
    assert over.distribution == CountsPair(k1=396, n1=400, k2=340, n2=400)
    assert interval(over, 0.95) == pytest.approx(newcombe(396, 400, 340, 400, 0.95))
    assert obstacle(over, 0.95) == "" and found(evidence, "good_fit").value == 0.0
    assert len(evidence.samples["doubted"]) == len(evidence.examples) == ROWS


def test_good_fit_counts_the_seeds_without_fault() -> None:
    evidence = measured(*[fitted()] * 4, MEMORIZED, probe=probed())
    assert found(evidence, "good_fit").distribution == Counts(k=4, n=5)
    noisy = measured(*[fitted()] * 5, probe=probed(doubted=0.2))
    assert found(noisy, "good_fit").value == 0.0, "wrong labels are those of every seed"


def test_a_probe_that_the_model_outdoes_is_no_judge_of_labels() -> None:
    evidence = measured(*[fitted(0.97, 0.94)] * 5, probe=probed(right=0.6, doubted=0.3, held=0.6))
    assert "label_noise_share" in evidence.inapplicable and states(evidence)["label noise"].startswith("neither")
    noisy = measured(*[fitted(0.97, 0.9)] * 5, probe=probed(right=0.77, doubted=0.2, held=0.92))
    assert word(noisy) == "label noise", "wrong in the training data alone: the probe is as good on validation data"


def test_what_is_left_of_seeds_that_all_diverged_is_not_judged() -> None:
    evidence = measured(*[LOST] * 3, probe=probed())
    assert {one.name for one in evidence.measurements} == {"diverged_share", "label_noise_share", "good_fit"}
    assert found(evidence, "diverged_share").value == 1.0


@pytest.mark.parametrize(
    ("losses", "more", "lost"),
    [((2.0, 1.0, 0.5), {}, False), ((2.0, 1.0, 2.0), {}, True), ((2.0, 1.0, np.nan), {}, True),
     ((2.0, 1.0, 0.5), {"diverged_at": 15}, True), ((np.inf, 1.0, 0.5), {}, True)],
)  # fmt: skip
def test_a_run_diverged_if_it_ends_no_lower_or_is_not_finite(losses: Any, more: dict[str, Any], lost: bool) -> None:
    assert has_diverged(run(validation=losses, train=losses, **more)) is lost


def test_a_first_loss_far_above_guessing_points_to_the_initialization() -> None:
    wild = fitted(0.1, 0.1, losses=(1e4, 1e5, 1e6), train_loss=np.array([1e4, 1e5, 1e6]))
    assert blew_up_at_once(wild, 2) and not blew_up_at_once(LOST, 2)
    blocks = measured(*[wild] * 5, probe=probed()).blocks
    assert isinstance(blocks[0], Text) and "initialization" in blocks[0].text


@pytest.mark.parametrize(
    ("losses", "share"),
    [((2.0, 1.0, 0.5), 0.0), ((2.0, 1.0, 1.5), 1 / 3), ((1.0, 1.5, 2.0), 1.0), ((1.0, 1.0, 1.0), 0.0)],
)
def test_the_rise_of_a_validation_loss_is_the_share_of_its_way_that_was_up(losses: Any, share: float) -> None:
    assert rise(run(validation=losses)) == pytest.approx(share)


def test_groups_are_the_units_where_there_are_any() -> None:
    groups = tuple(f"plant{row // 10}" for row in range(ROWS))
    evidence = measured(*[fitted(1.0, 0.8)] * 5, probe=probed(groups=groups, train_units=groups, held_units=groups))
    over = found(evidence, "overfit_gap")
    assert over.distribution == CountsPair(k1=40, n1=40, k2=32, n2=40) and over.unit_of_resampling == "group"
    assert found(evidence, "label_noise_share").unit_of_resampling == "group"


def test_a_training_accuracy_of_all_rows_is_known() -> None:
    """Then only the validation data are a sample: 40 rows of 40 say no less of themselves than 400 of 400."""
    few = fitted(1.0, 0.72, train_rows=40, train_correct=np.array([4, 20, 40]))
    each = [found(measured(*[few] * 5, probe=probed(whole=whole)), "overfit_gap") for whole in (40, 900)]
    (low, high), wide = (interval(one, 0.95) for one in each)
    assert (
        each[0].value == pytest.approx(0.28)
        and each[0].n == ROWS
        and obstacle(each[0], 0.95) == ""
        and each[0].method == "wilson"
    )
    below, above = wilson(288, ROWS, 0.95)
    assert (low, high) == pytest.approx((1 - above, 1 - below)) and wide[0] < low < high
    assert gap((0.9, 0), (0.72, ROWS), 0.95) == pytest.approx(tuple(0.9 - end for end in wilson(288, ROWS, 0.95)[::-1]))


def test_a_regression_has_a_gap_of_losses_and_no_labels_to_doubt() -> None:
    none = {f"{side}_correct": np.zeros(0, int) for side in ("train", "validation")}
    runs = [run(validation=[2.0, 1.0, 0.8 + at / 100], train=[2.0, 0.5, 0.1], **none) for at in range(5)]
    evidence = measured(*runs)
    assert set(evidence.inapplicable) == {"label_noise_share", "underfit_gap", "good_fit"}
    apart = found(evidence, "overfit_gap")
    assert apart.value == pytest.approx(np.mean([(0.7 + at / 100) / 2 for at in range(5)]))
    assert apart.unit_of_resampling == "seed" and word(evidence) == "overfitting"
    still = [run(validation=[2.0, 1.0, 0.2 + at / 1000], train=[2.0, 0.5, 0.2], **none) for at in range(5)]
    assert word(measured(*still)) == "undetermined", "nothing speaks of its labels"


def test_too_few_examples_a_class_leave_labels_and_fit_unsaid() -> None:
    nothing = probed(doubted=0, right=0, held=0)
    none = np.zeros(0, bool)
    pairs = tuple(str(row // 20) for row in range(ROWS))
    empty = Probed(none, none, none, (), (), (), (), (), pairs, ("rare",), 2, True, 15, 0, 900)
    evidence = measured(*[fitted()] * 5, probe=empty)
    assert set(evidence.inapplicable) == {"label_noise_share", "underfit_gap", "good_fit"}
    assert len(evidence.notes) == 2 and "rare" in evidence.notes[1] and nothing.notes() == ()
    assert found(evidence, "overfit_gap").unit_of_resampling == "group", "rows belong together with or without a probe"
    assert found(evidence, "overfit_gap").n == 20 and states(evidence)["overfitting"].startswith("neither")


def test_rows_that_no_probe_could_judge_widen_the_gap_to_the_model() -> None:
    """The model was asked of these rows too: the probe may be wrong or right on all of them."""
    evidence = measured(*[fitted(0.72, 0.7)] * 5, probe=probed(right=1.0, looked=ROWS + 100, held=0.7))
    under = found(evidence, "underfit_gap")
    low, high = gap((0.8, ROWS), (0.72, ROWS), 0.95)
    assert under.value == pytest.approx(0.08) and interval(under, 0.95) == pytest.approx((low, high + 0.2))
    assert (under.method, under.n) == ("newcombe", ROWS) and states(evidence)["underfitting"].startswith("neither")


def test_seeds_that_diverged_leave_the_gaps_lower_bounds_and_are_said() -> None:
    runs = [fitted()] * 3 + [LOST] * 2
    evidence = measured(*runs, probe=probed())
    assert all(found(evidence, name).censored for name in ("underfit_gap", "overfit_gap"))
    assert not found(evidence, "label_noise_share").censored and found(evidence, "diverged_share").value == 0.4
    first = measured(*[WEAK] * 3, *[LOST] * 2, probe=probed()).blocks[0]
    assert isinstance(first, Text)
    assert "2 of 5 seeds diverged" in first.text and "lower the learning rate" in first.text
    none = {f"{side}_correct": np.zeros(0, int) for side in ("train", "validation")}
    apart = [run(validation=[2.0, 1.0, 0.8 + at / 100], train=[2.0, 0.5, 0.1], **none) for at in range(4)]
    lost = run(validation=[2.0, 1.0, 3.0], train=[2.0, 1.0, 3.0], **none)
    assert found(measured(*apart, lost), "overfit_gap").censored


def test_a_seed_is_judged_as_all_are_by_a_training_accuracy_that_is_known() -> None:
    """40 training rows, all there are: as a sample of more they would leave the gap open for each seed."""
    few = fitted(1.0, 0.97, train_rows=40, train_correct=np.array([4, 20, 40]))
    evidence = measured(*[few] * 5, probe=probed(whole=40))
    assert found(evidence, "good_fit").distribution == Counts(k=5, n=5) and word(evidence) == "good fit"
