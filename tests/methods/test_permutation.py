"""Permutation importance: against a slow loop, scikit-learn's and the analytic answer; what is exchanged of texts."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.inspection import permutation_importance
from torch import Tensor, nn

from auditor.errors import AuditorError
from auditor.methods.permutation import Asking, Segments, Words, cells, columns, frequent, losses, rises
from auditor.methods.single_feature import best_single_feature


class Bare:
    """A module as methods ask it."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def logits(self, inputs: Any) -> Tensor:
        found: Tensor = self.module(inputs)
        return found

    def gradient_inputs(self, inputs: Any) -> Any:
        raise NotImplementedError


def table(n: int = 200) -> tuple[Tensor, Tensor, nn.Module]:
    """Rows of four columns, labels that follow two of them, and a linear model that knows it."""
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(n, 4, generator=draw)
    labels = (rows[:, 0] + 2 * rows[:, 1] + 0.3 * torch.randn(n, generator=draw) > 0).long()
    module = nn.Linear(4, 2)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[-1.0, -2.0, 0.0, 0.1], [1.0, 2.0, 0.0, -0.1]]))
        module.bias.zero_()
    return rows, labels, module


NAMES = ("a", "b", "c", "d")


def test_rises_equal_a_slow_loop_with_the_same_permutations() -> None:
    rows, labels, module = table(50)
    asking = Asking(Bare(module), 16)
    _, found = rises(asking, rows, labels, columns(rows, NAMES), 3, torch.Generator().manual_seed(5))
    draw = torch.Generator().manual_seed(5)
    orders = [torch.randperm(50, generator=draw) for _ in range(3)]
    base = losses(module(rows), labels)
    for column in range(4):
        slow = torch.zeros(50, dtype=torch.float64)
        for order in orders:
            moved = rows.clone()
            moved[:, column] = rows[order, column]
            slow += (losses(module(moved), labels) - base) / 3
        np.testing.assert_allclose(found[:, column], slow.detach(), atol=1e-6)
    assert asking.halved == 0


class Wrapped(ClassifierMixin, BaseEstimator):
    """A module as scikit-learn asks it."""

    def __init__(self, module: Any = None) -> None:
        self.module = module
        self.classes_ = np.array([0, 1])

    def fit(self, table: Any, labels: Any) -> "Wrapped":
        return self

    def predict_proba(self, table: Any) -> Any:
        with torch.no_grad():
            return self.module(torch.tensor(table)).double().softmax(1).numpy()


def test_importance_agrees_with_scikit_learns_within_its_own_spread() -> None:
    rows, labels, module = table()
    theirs = permutation_importance(
        Wrapped(module), rows.numpy(), labels.numpy(), scoring="neg_log_loss", n_repeats=40, random_state=1
    )
    _, found = rises(
        Asking(Bare(module), 256), rows, labels, columns(rows, NAMES), 40, torch.Generator().manual_seed(2)
    )
    ours = found.mean(dim=0).numpy()
    assert np.all(np.abs(ours - theirs.importances_mean) <= 4 * theirs.importances_std * np.sqrt(2 / 40) + 1e-6)
    assert ours.argmax() == 1 and abs(ours[2]) < 1e-6


def test_a_linear_regression_rises_by_twice_its_squared_weights_variance() -> None:
    """E (w x_pi - w x)^2 = 2 w^2 var(x) for independent rows and a residual that does not know the column."""
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(4000, 3, generator=draw)
    module = nn.Linear(3, 1)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[1.0, -0.5, 0.0]]))
        module.bias.zero_()
        labels = module(rows)[:, 0] + 0.1 * torch.randn(4000, generator=draw)
    _, found = rises(Asking(Bare(module), 4000), rows, labels, columns(rows, NAMES[:3]), 5, draw)
    expected = 2 * module.weight[0].double() ** 2 * rows.double().var(dim=0)
    np.testing.assert_allclose(found.mean(dim=0), expected.detach(), rtol=0.05, atol=1e-9)


def test_batches_halve_when_memory_runs_out_and_nothing_else_changes() -> None:
    rows, labels, module = table(40)

    class Small(Bare):
        def logits(self, inputs: Any) -> Tensor:
            if len(inputs) > 10:
                raise torch.OutOfMemoryError("no memory")
            return super().logits(inputs)

    asking, draw = Asking(Small(module), 32), torch.Generator().manual_seed(0)
    _, found = rises(asking, rows, labels, columns(rows, NAMES), 2, draw)
    _, plain = rises(Asking(Bare(module), 32), rows, labels, columns(rows, NAMES), 2, torch.Generator().manual_seed(0))
    assert asking.halved == 2 and asking.batch_size == 8
    np.testing.assert_allclose(found, plain, atol=1e-6)


def test_logits_that_are_not_finite_are_an_error() -> None:
    rows, labels, module = table(10)
    nn.init.constant_(module.bias, float("nan"))
    with pytest.raises(AuditorError, match="not finite"):
        rises(Asking(Bare(module), 8), rows, labels, columns(rows, NAMES), 1, torch.Generator())


def test_cells_cover_a_picture_once() -> None:
    parts = cells(torch.zeros(2, 3, 10, 7), 4)
    assert len(parts.names) == 16 and parts.names[5] == "row 2, column 2"
    assert torch.equal(parts.masks.sum(dim=0), torch.ones(1, 10, 7, dtype=torch.long))
    pictures = torch.stack([torch.zeros(3, 10, 7), torch.ones(3, 10, 7)])
    mixed = cells(pictures, 4).swapped(torch.tensor([0]), torch.tensor([1]), 0)
    assert torch.equal(mixed[0, 0].bool(), cells(pictures, 4).masks[0, 0])


SPECIAL = (0, 1, 2)


def texts(*contents: list[int]) -> dict[str, Tensor]:
    """Texts as a tokenizer gives them: [CLS] is 1, [SEP] is 2, padding is 0."""
    width = max(map(len, contents)) + 2
    ids = [[1, *content, 2] + [0] * (width - len(content) - 2) for content in contents]
    mask = [[1] * (len(content) + 2) + [0] * (width - len(content) - 2) for content in contents]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


def content(inputs: dict[str, Tensor]) -> list[list[int]]:
    return [[token for token in line if token not in SPECIAL] for line in inputs["input_ids"].tolist()]


def random_texts() -> dict[str, Tensor]:
    rng = np.random.default_rng(0)
    return texts(*(rng.integers(3, 9, size=rng.integers(1, 12)).tolist() for _ in range(60)))


def test_permuting_a_word_permutes_its_presence_and_keeps_lengths() -> None:
    inputs, rows = random_texts(), torch.arange(60)
    partners = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    given = content(inputs)
    for part, word in enumerate((3, 4, 5)):
        found = Words(inputs, (3, 4, 5), ("x", "y", "z"), SPECIAL).swapped(rows, partners, part)
        fresh = content(found)
        assert [word in line for line in fresh] == [word in given[at] for at in partners.tolist()]
        assert [len(line) for line in fresh] == [len(line) for line in given]
        assert torch.equal(found["attention_mask"], inputs["attention_mask"])
        assert torch.equal(found["input_ids"] < 3, inputs["input_ids"] < 3)


def test_texts_without_the_word_on_either_side_stay() -> None:
    inputs = texts([3, 4, 5], [6, 7], [8, 3])
    found = Words(inputs, (8,), ("w",), SPECIAL).swapped(torch.tensor([0, 1, 2]), torch.tensor([1, 2, 0]), 0)
    assert content(found) == [[3, 4, 5], [8, 7], [3, 3]]


def test_tenths_of_texts_come_from_the_partner_and_all_of_them_cover_it() -> None:
    inputs = texts(list(range(10, 30)), list(range(40, 60)), list(range(70, 75)))
    parts, one, two = Segments(inputs, SPECIAL), torch.tensor([0]), torch.tensor([1])
    first = content(parts.swapped(one, two, 0))[0]
    assert first == [40, 41, *range(12, 30)]
    changed = torch.stack(
        [parts.swapped(one, two, part)["input_ids"] != inputs["input_ids"][one] for part in range(10)]
    )
    assert torch.equal(changed.sum(dim=0)[0, 1:21], torch.ones(20, dtype=torch.long))
    short = content(parts.swapped(torch.tensor([2]), one, 9))[0]
    assert short[:4] == [70, 71, 72, 73]


def test_frequent_tokens_are_counted_by_text_without_specials_and_without_what_all_have() -> None:
    inputs = texts([3, 3, 3, 9], [4, 9], [4, 5, 9], [5, 4, 9], [3, 9])
    assert frequent(inputs, SPECIAL, 2) == (4, 3)
    assert frequent(inputs, SPECIAL, 9) == (4, 3, 5)


def test_the_best_single_column_is_chosen_and_judged_on_different_rows() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    noise = rng.normal(size=(200, 20))
    units = tuple(map(str, range(200)))
    hits, _ = best_single_feature(noise, labels, units, 0)
    assert 0.3 < hits.mean() < 0.65  # no column knows, and the best of twenty gains nothing by having been chosen
    told = np.concatenate([noise, labels[:, None] + 0.01 * rng.normal(size=(200, 1))], axis=1)
    hits, chosen = best_single_feature(told, labels, units, 0)
    assert hits.all() and set(chosen.tolist()) == {20}


def test_groups_stay_in_one_fold() -> None:
    labels = np.repeat(np.arange(40) % 2, 5)
    identity = np.repeat(np.random.default_rng(0).normal(size=(40, 1)), 5, axis=0)
    alone, _ = best_single_feature(identity, labels, tuple(map(str, range(200))), 0)
    together, _ = best_single_feature(identity, labels, tuple(np.repeat(np.arange(40), 5).astype(str)), 0)
    assert together.mean() <= alone.mean()
