"""optimizability.compare: a worse candidate is found, equal ones are not told apart, and the words say no more."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import descended
import numpy as np
import pytest
from histories import run
from making import evidence
from pydantic import ValidationError

from auditor.artifacts.candidates import Candidate, Candidates, CandidatesOf, Price, candidates_of
from auditor.artifacts.entrants import Entrant, entrants_of, varied
from auditor.artifacts.likelihood import Likelihoods
from auditor.artifacts.predictions import Predictions
from auditor.artifacts.trajectory import Trajectory
from auditor.blocks import Table, Text
from auditor.checks.optimizability.compare import Compare
from auditor.errors import NotApplicable
from auditor.evidence import Evidence, Measurement, Quantiles
from auditor.judge.intervals import interval
from auditor.judge.minimum import obstacle
from auditor.methods.candidates import Scores
from auditor.sources import data, labels, models
from auditor.sources.models.finetune import describe_finetune
from auditor.spec.model import DataEntry, Finetune, ModelEntry
from auditor.subject import DataRef, ModelRef, Recipe, Runtime, Subject, TaskRef
from tests.checks.judged import outcome

N = 200
shipped = cache(descended.shipped)


@cache
def digits() -> DataRef:
    return descended.digits("test", 64)


@cache
def fine_tune(steps: int, seeds: int, lr: float) -> ModelRef:
    return descended.tuned(steps=steps, seeds=seeds, lr=lr)


def candidate(
    name: str, accuracy: float, seeds: int = 5, seed: int = 1, lost: int = 0, flops: float = 1e6, lr: float = 1e-3,
    tuned: bool = True, classes: bool = True, factor: str = "", steps: int = 20, made: int = 0,
) -> Candidate:  # fmt: skip
    """Seeds of one candidate on examples that are equally hard for all."""
    ref = fine_tune(steps, seeds, lr) if tuned else shipped()
    ref = ref.model_copy(update={"name": name})
    hard, draw = np.random.default_rng(9).random(N), np.random.default_rng(seed)
    right = hard + 0.05 * draw.normal(size=(seeds, N)) < accuracy + 0.005 * draw.normal(size=(seeds, 1))
    loss = (1.1 - accuracy) * (2 * hard + 0.2 * draw.random((seeds, N)))
    runs = tuple(
        run(
            validation=[2.0, 1.5 - accuracy, 1.1 - accuracy],
            diverged_at=13 if place < lost else None,
            batch_size=16,
            gradient_norm=np.ones(made or steps),
        )
        for place in range(seeds)
    )
    return Candidate(
        Entrant(name, ref, digits(), factor), Scores(loss, right if classes else None, lost),
        Trajectory("finetune", tuple(one.changes for one in runs), runs) if tuned else None, Price(1000, flops),
    )  # fmt: skip


def compared(*each: Candidate, groups: tuple[str, ...] = (), unit: str = "nats") -> Evidence:
    found = Candidates(each, tuple(map(str, range(N))), groups, unit)
    return Compare().measure(candidates=found, seed=3)


def by(found: Evidence) -> dict[str, Measurement]:
    return {f"{one.name} {one.of}".strip(): one for one in found.measurements}


def words(found: Evidence) -> str:
    return next(block.text for block in found.blocks if isinstance(block, Text))


def test_a_planted_worse_candidate_is_found() -> None:
    found = compared(candidate("a", 0.9), candidate("worse", 0.7, seed=2))
    measured = by(found)
    assert measured["accuracy_difference worse"].value == pytest.approx(0.2, abs=0.05)
    assert measured["superiority worse"].value > 0.9
    assert outcome(measured["accuracy_difference worse"], at_least=0.0) == "pass"
    assert outcome(measured["loss_difference worse"], at_most=0.0) == "pass"
    assert outcome(measured["superiority worse"], at_least=0.5) == "pass"
    assert words(found) == "a: by accuracy it is the best, ahead of worse."
    assert all(not obstacle(one, 0.95) for name, one in measured.items() if "steps" not in name)


def test_a_worse_model_fails_against_the_better_one_and_the_other_is_recommended() -> None:
    found = compared(candidate("worse", 0.7), candidate("b", 0.9, seed=2))
    assert outcome(by(found)["accuracy_difference b"], at_least=0.0) == "fail"
    assert words(found) == "b: by accuracy it is the best, ahead of worse."


def test_two_draws_of_one_recipe_show_no_difference_and_the_cheaper_is_named() -> None:
    found = compared(candidate("a", 0.9, flops=4e6), candidate("twin", 0.9, seed=2))
    low, high = interval(by(found)["accuracy_difference twin"], 0.95)
    assert low <= 0 <= high
    assert "No difference in accuracy can be shown between" in words(found)
    assert "would decide" in words(found)
    assert "twin is the cheapest to run: the dearest takes 4 times as much" in words(found)


def test_one_seed_is_a_claim_about_these_models_over_examples_and_few_seeds_decide_nothing() -> None:
    single = compared(candidate("a", 0.9, seeds=1), candidate("b", 0.7, seeds=1, seed=2))
    one = by(single)["accuracy_difference b"]
    assert (one.kind, one.unit_of_resampling, one.n, obstacle(one, 0.95)) == ("sampled", "example", N, "")
    assert words(single).startswith("One seed: this speaks of these very models")
    few = compared(candidate("a", 0.9, seeds=3), candidate("b", 0.7, seeds=3, seed=2))
    for name in ("accuracy_difference b", "loss_difference b", "superiority b"):
        assert "3 seeds are too few" in obstacle(by(few)[name], 0.95)
    assert words(few).startswith("Descriptive only: 3 seeds")


def test_a_dozen_examples_pass_nothing_however_many_seeds_there_are() -> None:
    """A tenth of the examples is lost by every seed: twelve often hold none of them, and five seeds look alike."""
    passed, draw = 0, np.random.default_rng(0)
    for _ in range(40):
        lost = np.tile(draw.random(12) < 0.1, (5, 1))
        own = Scores(lost + draw.random((5, 12)), ~lost)
        other = Scores(draw.random((5, 12)), draw.random((5, 12)) > 0.02)
        each = tuple(replace(candidate(name, 0.9), scores=one) for name, one in (("a", own), ("b", other)))
        found = Compare().measure(candidates=Candidates(each, tuple(map(str, range(12))), (), "nats"), seed=1)
        one = by(found)["accuracy_difference b"]
        passed += outcome(one, at_least=-0.05) == "pass" and not obstacle(one, 0.95)
        assert (one.n, one.unit_of_resampling) == (12, "example")
        assert "No difference in accuracy can be shown" in words(found)
    assert passed == 0, "10 of 40 where the five seeds were counted"


def test_a_model_without_a_fine_tune_stands_beside_every_seed() -> None:
    found = compared(candidate("a", 0.9), candidate("shipped", 0.7, seeds=1, seed=2, tuned=False))
    assert by(found)["accuracy_difference shipped"].value > 0.1
    assert any("shipped is taken as it is" in note for note in found.notes)
    assert "steps_to_target_validation" in found.inapplicable and "lr_tolerance" in found.inapplicable
    table = next(block for block in found.blocks if isinstance(block, Table))
    assert table.rows[1][-1] is None


def test_a_candidate_that_diverged_is_never_recommended_and_only_bounds() -> None:
    found = compared(candidate("a", 0.7), candidate("lost", 0.9, seed=2, lost=2))
    measured = by(found)
    assert measured["accuracy_difference lost"].censored
    assert measured["loss_difference lost"].kind == "unreplicated"
    assert "Not lost: training diverged" in words(found)
    other = by(compared(candidate("lost", 0.9, lost=1), candidate("b", 0.5, seed=2)))
    assert other["accuracy_difference b"].kind == other["superiority b"].kind == "unreplicated"
    assert other["loss_difference b"].censored
    none = compared(candidate("lost", 0.9, lost=1), candidate("gone", 0.9, seed=2, lost=1))
    assert words(none) == "None: no candidate's training ended well."


def test_groups_are_the_unit_and_a_regression_has_no_accuracy() -> None:
    grouped = compared(candidate("a", 0.9), candidate("b", 0.7, seed=2), groups=tuple(f"g{at // 2}" for at in range(N)))
    one = by(grouped)["superiority b"]
    assert (one.unit_of_resampling, one.n) == ("group", N // 2)
    assert isinstance(one.distribution, Quantiles)
    numbers = compared(candidate("a", 0.9, classes=False), candidate("b", 0.7, seed=2, classes=False))
    assert "accuracy_difference" in numbers.inapplicable and "loss_difference b" in by(numbers)
    assert words(numbers) == "a: by loss it is the best, ahead of b."


def test_one_group_alone_decides_nothing() -> None:
    found = compared(candidate("a", 0.9), candidate("b", 0.7, seed=2), groups=("g",) * N)
    assert "single one of the" in obstacle(by(found)["accuracy_difference b"], 0.95)
    assert "No difference in accuracy can be shown" in words(found)


def test_learning_rates_have_a_tolerance_and_few_seeds_leave_it_undecided() -> None:
    def swept(seeds: int) -> Evidence:
        own = candidate("a", 0.9, seeds)
        low = candidate("lr 0.0001", 0.5, seeds, 2, lr=1e-4, factor="lr")
        return compared(own, low, candidate("lr 0.01", 0.5, seeds, 3, lr=1e-2, factor="lr"))

    one = by(swept(5))["lr_tolerance"]
    assert interval(one, 0.95) == (pytest.approx(0.0), pytest.approx(2.0))
    assert any("surely do within 10% of the best (0.001): 0.001" in note for note in swept(5).notes)
    assert by(swept(3))["lr_tolerance"].kind == "unreplicated"
    assert "Loss by learning rate" in [block.title for block in swept(5).blocks]


def test_times_go_to_the_worst_of_the_minima_and_budgets_are_compared() -> None:
    found = compared(candidate("a", 0.9), candidate("b", 0.7, seed=2, steps=40))
    measured = by(found)
    assert measured["steps_to_target_validation a"].value == 20
    assert measured["steps_to_target_validation b"].value == 20
    assert any("The budgets differ" in note and "b 640" in note for note in found.notes)
    assert any("One budget: every fine-tune saw 320" in note
               for note in compared(candidate("a", 0.9), candidate("b", 0.7)).notes)  # fmt: skip


def test_a_budget_is_what_was_seen_by_all_tasks_until_the_end() -> None:
    stopped = compared(candidate("a", 0.9), candidate("stopped", 0.7, seed=2, made=5))
    assert any("The budgets differ" in note and "a 320; stopped 80" in note for note in stopped.notes)
    several = candidate("several", 0.7, seed=2)
    tasks = tuple(TaskRef(name=name, weight=1.0, model=several.entrant.ref) for name in "xy")
    joint = replace(several.entrant, ref=several.entrant.ref.model_copy(update={"tasks": tasks}))
    both = compared(candidate("a", 0.9), replace(several, entrant=joint))
    assert any("a 320; several 640" in note for note in both.notes)
    table = next(block for block in both.blocks if isinstance(block, Table))
    assert [row[-1] for row in table.rows] == [320, 640]


def test_unequal_numbers_of_seeds_and_answers_that_are_not_finite_are_told() -> None:
    found = compared(candidate("a", 0.9), candidate("b", 0.7, seeds=6, seed=2))
    assert any("the first that both have are compared" in note for note in found.notes)
    broken = candidate("b", 0.7, seed=2)
    loss = np.where(np.arange(N) == 3, np.inf, broken.scores.loss)
    told = compared(candidate("a", 0.9), replace(broken, scores=replace(broken.scores, loss=loss, diverged=5)))
    assert "loss_difference b" not in by(told)
    assert any("b gave answers that are not finite" in note for note in told.notes)


def test_many_candidates_still_fit_in_a_report() -> None:
    found = compared(*(candidate(f"c{at}", 0.9 - at / 100, seed=at) for at in range(14)))
    assert len([one for one in found.measurements if one.name == "superiority"]) == 13


# What is asked of whom.


def subject(*against: ModelRef, model: ModelRef | None = None, **recipe: Any) -> Subject:
    ref = model or descended.tuned(steps=4, seeds=2, **recipe)
    found = labels.match(ref, descended.digits("test", 64))
    return Subject(model=ref, data=found, against=against, runtime=descended.RUNTIME)


def test_without_another_candidate_it_says_how_to_name_one() -> None:
    reason = str(Compare().applies(subject()))
    assert "`against: [MODEL]`" in reason and "`with: {lr: [1e-4, 1e-3, 1e-2]}`" in reason
    assert Compare().applies(subject(descended.shipped())) is None
    assert Compare(lr=(1e-2,)).applies(subject()) is None
    assert "there is nothing to compare" in str(Compare(lr=(1e-3,)).applies(subject(lr=1e-3)))
    several = fine_tune(4, 2, 1e-3)
    task = TaskRef(name="other", weight=1.0, model=several)
    joint = subject(model=several.model_copy(update={"tasks": (task,)}))
    assert "trains several tasks" in str(Compare(lr=(1e-2,)).applies(joint))
    assert "is not fine-tuned here" in str(Compare(lr=(1e-3,)).applies(subject(model=descended.shipped())))


def test_unlabelled_data_encoders_and_other_heads_are_told() -> None:
    one = subject(descended.shipped())
    assert one.data is not None
    bare = one.model_copy(update={"data": one.data.model_copy(update={"labelled": False})})
    assert "needs labels" in str(Compare().applies(bare))
    encoder = one.model_copy(update={"model": one.model.model_copy(update={"task": "encoder"})})
    assert "encoder" in str(Compare().applies(encoder))
    wide = descended.shipped().model_copy(update={"name": "wide", "outputs": 1000, "classes": ()})
    assert "wide is no candidate: its task is classification with 1000 outputs" in str(Compare().applies(subject(wide)))
    strange = descended.shipped().model_copy(update={"classes": tuple("abcdefghij"), "name": "strange"})
    assert "strange is no candidate: it has other classes" in str(Compare().applies(subject(strange)))


def test_data_that_a_candidate_was_trained_on_decide_nothing() -> None:
    seen = labels.match(descended.tuned(), descended.digits("train", 32))  # part of the 64 of its training
    own = subject(descended.shipped()).model_copy(update={"data": seen})
    assert "tuned was trained on rows of these very data" in str(Compare().applies(own))
    other = Subject(model=descended.shipped(), data=seen, against=(descended.tuned(),), runtime=descended.RUNTIME)
    assert "tuned is no candidate: it was trained on rows of these very data" in str(Compare().applies(other))


def test_a_model_that_was_named_and_cannot_be_compared_is_not_left_out_in_silence() -> None:
    """An expectation on all candidates would else be met by those that are left."""
    strange = descended.shipped().model_copy(update={"classes": tuple("abcdefghij"), "digest": "sha256:s", "name": "s"})
    reason = str(Compare().applies(subject(strange, descended.shipped())))
    assert "s is no candidate: it has other classes" in reason and "Leave it out of `against`" in reason
    ref = descended.tuned(steps=4, seeds=2)
    parent = strange.model_copy(update={"name": "parent"})
    grown = ref.model_copy(update={"parent": parent})
    assert Compare(lr=(0.05,)).applies(subject(parent, model=grown)) is None  # there unless others are named


def test_a_rate_of_nothing_is_refused() -> None:
    for rate in (0.0, -1e-3):
        with pytest.raises(ValidationError, match="greater than 0"):
            Compare(lr=(rate,))


def test_a_factor_changes_the_recipe_alone_and_its_runs_are_shared() -> None:
    ref = descended.tuned(steps=4, seeds=2)
    changed = varied(ref, "lr", 0.05)
    assert changed is not None and changed.recipe is not None and ref.recipe is not None
    assert changed.recipe == ref.recipe.model_copy(update={"lr": 0.05})
    assert changed.digest == descended.tuned(steps=4, seeds=2, lr=0.05).digest != ref.digest
    assert varied(ref, "lr", ref.recipe.lr) is None
    one = candidates_of(subject(), {"lr": (0.05, 0.05), "optimizer": ("adamw", "sgd")}, 32)
    assert [each.name for each in one.entrants] == ["tuned", "lr 0.05", "optimizer sgd"]
    assert len(one.needs()) == 3 * (2 + 1 + 1)


def test_classes_in_another_order_are_matched_by_name() -> None:
    ref = descended.shipped()
    turned = ref.model_copy(update={"name": "turned", "classes": ref.classes[::-1], "digest": "sha256:turned"})
    found, said = entrants_of(subject(turned, model=ref), {})
    assert not said and found[1].data.classes == ref.classes[::-1]
    assert found[0].data.labels != found[1].data.labels
    needs = candidates_of(subject(turned, model=ref), {}, 16).needs()
    orders = [needs[f"answers_{at}_1"].sweep.batches.load(descended.ASSETS).order[:16] for at in (0, 1)]
    assert orders[0] != orders[1] and [needs[f"answers_{at}_1"].rows for at in (0, 1)] == [16, None]


# How answers become scores.


def said(examples: str, logits: Any = None) -> Predictions:
    n = len(examples)
    given = np.tile([2.0, 0.0], (n, 1)) if logits is None else np.array(logits)
    return Predictions(given.astype(np.float32), np.zeros(n, dtype=np.int64), tuple(examples))


def read(examples: str, tokens: list[int], masked: bool = False) -> Likelihoods:
    count = np.array(tokens)
    empty = np.zeros(0, dtype=np.int64)
    return Likelihoods(
        count * 2.0, count, np.full(len(examples), 10), empty, empty, empty.astype(np.float32), tuple(examples), (), 8,
        4, masked,
    )  # fmt: skip


def gathered(*answers: Any) -> Candidates:
    found = tuple(Entrant(f"c{at}", shipped(), digits()) for at in range(len(answers)))
    upstream = {f"answers_{at}_1": one for at, one in enumerate(answers)}
    prices = {f"price_{at}": Price(1, 1.0) for at in range(len(answers))}
    found_here: Candidates = CandidatesOf(found, 10, Runtime()).build(**upstream, **prices)
    return found_here


def test_only_examples_that_all_answered_are_compared_each_beside_itself() -> None:
    found = gathered(said("abcd"), said("dbx", [[0.0, 2.0], [2.0, 0.0], [0.0, 2.0]]))
    assert found.examples == ("b", "d")
    assert [one.scores.right.tolist() for one in found.each if one.scores.right is not None] == [
        [[True, True]], [[True, False]],
    ]  # fmt: skip
    assert any("2 examples were not answered by every candidate" in note for note in found.notes)
    copied = gathered(said("abab"), said("abab"))
    assert copied.examples == ("a", "b") and copied.notes[0] == "2 examples are copies of others, asked once."
    with pytest.raises(NotApplicable, match="share 1 examples"):
        gathered(said("ab"), said("bx"))


def test_answers_that_are_not_finite_are_wrong_and_infinitely_costly() -> None:
    found = gathered(said("ab"), said("ab", [[np.nan, 0.0], [2.0, 0.0]]))
    broken = found.each[1].scores
    assert broken.right is not None and broken.right.tolist() == [[False, True]]
    assert np.isinf(broken.loss[0, 0]) and not broken.finite
    assert (found.each[0].scores.diverged, broken.diverged) == (0, 1)


def test_texts_are_compared_by_token_or_by_byte_and_silent_ones_left_out() -> None:
    same = gathered(read("abc", [4, 0, 5]), read("abc", [4, 0, 5]))
    assert same.examples == ("a", "c") and same.unit == "nats a token"
    assert same.each[0].scores.loss.tolist() == [[2.0, 2.0]]
    other = gathered(read("abc", [4, 1, 5]), read("abc", [8, 2, 9]))
    assert other.unit == "nats a byte" and other.each[0].scores.loss.tolist() == [[0.8, 0.2, 1.0]]
    with pytest.raises(NotApplicable, match="different tokenizers"):
        gathered(read("ab", [4, 1], True), read("ab", [5, 1], True))


# Real runs.


def test_fine_tunes_beside_what_they_began_from() -> None:
    ref = descended.tuned(steps=6, seeds=2, lr=3e-3)
    assert ref.parent is not None
    asked = subject(ref.parent, descended.shipped(), model=ref)
    measured = by(evidence(Compare(rows=64), asked, descended.ASSETS, seed=1))
    assert measured["accuracy_difference shipped"].value < 0
    assert measured["superiority shipped"].value < 0.2
    assert {one.split()[-1] for one in measured} == {"early", "shipped"}


def test_a_rate_that_diverges_is_told_and_ends_nothing() -> None:
    """Its last weights are finite, their answers are not: the others are compared all the same."""
    ref = descended.tuned(steps=6, seeds=2, lr=3e-3)
    found = evidence(Compare(rows=64, lr=(1e30,)), subject(model=ref), descended.ASSETS, seed=1)
    measured = by(found)
    assert measured["superiority lr 1e+30"].censored and "loss_difference lr 1e+30" not in measured
    assert "Not lr 1e+30: training diverged, or answers were not finite." in words(found)
    assert any("2 of 2 runs diverged" in note for note in found.notes)


NET = """
from torch import nn

def table(width=8):
    return nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 1))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    import sys

    from tests.tiny import save_all

    root = tmp_path_factory.mktemp("candidates")
    save_all(root)
    draw = np.random.default_rng(0)
    for split in ("train", "eval"):
        rows = draw.normal(size=(64, 3))
        cells = [",".join(f"{value:.4f}" for value in (*row, row.sum())) for row in rows]
        (root / f"rows-{split}.csv").write_text("a,b,c,price\n" + "\n".join(cells) + "\n")
        lines = [" ".join(draw.choice(["good", "bad", "film", "a", "the"], 6)) for _ in range(40)]
        (root / f"texts-{split}.csv").write_text("text\n" + "\n".join(lines) + "\n")
    (root / "site").mkdir()
    (root / "site" / "candidate_tables.py").write_text(NET)
    sys.path.insert(0, str(root / "site"))
    yield root
    sys.path.remove(str(root / "site"))


def fitted(root: Path, parent: ModelRef, name: str, sets: tuple[DataRef, DataRef], **recipe: Any) -> ModelRef:
    made = Recipe(**{"steps": 20, "batch_size": 16, "record_every": 10, "seeds": 2, "lr": 1e-2, "keep": 1, **recipe})
    settled = Finetune(parent="m", train="train", validation="eval", recipe=made)
    entry = ModelEntry(name=name, source="finetune", finetune=settled)
    return describe_finetune(entry, parent, *sets)


def test_regressions_are_compared_by_squared_errors(root: Path) -> None:
    options = {"factory": "candidate_tables:table", "modality": "tabular", "task": "regression"}
    parent = models.describe(ModelEntry(name="m", source="factory", options=options), root)
    train, test = (
        data.describe(DataEntry(name=split, source="csv", options={
            "path": f"rows-{split}.csv", "features": ["a", "b", "c"], "label": "price"}), root)
        for split in ("train", "eval")
    )  # fmt: skip
    good, bad = (fitted(root, parent, name, (train, test), lr=lr) for name, lr in (("good", 3e-2), ("bad", 1e-5)))
    asked = Subject(model=good, data=labels.match(good, test), against=(bad,), runtime=Runtime(batch_size=16))
    found = evidence(Compare(), asked, root, seed=1)
    assert set(by(found)) >= {"superiority bad", "loss_difference bad"}
    assert by(found)["loss_difference bad"].value < 0 and "accuracy_difference" in found.inapplicable


def test_language_models_are_compared_by_documents(root: Path) -> None:
    parent = models.describe(ModelEntry(name="m", source="transformers", options={"path": "gpt"}), root)
    train, test = (
        data.describe(DataEntry(name=split, source="csv", options={"path": f"texts-{split}.csv", "text": "text"}), root)
        for split in ("train", "eval")
    )
    ref = fitted(root, parent, "learned", (train, test))
    asked = Subject(model=ref, data=test, against=(parent,), runtime=Runtime(batch_size=16))
    assert Compare().applies(asked) is None
    found = evidence(Compare(rows=40, lr=(1e-6,)), asked, root, seed=1)
    for other in ("m", "lr 1e-06"):
        assert by(found)[f"superiority {other}"].value > 0.9 and by(found)[f"loss_difference {other}"].value < 0
    assert by(found)["steps_to_target_validation lr 1e-06"].value == 20
    assert words(found).startswith("Descriptive only: 2 seeds")
