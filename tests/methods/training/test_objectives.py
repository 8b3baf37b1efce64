"""What a step minimizes, against slow loops; batches in parts give the gradient of the whole."""

from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from auditor.methods.training import look, train
from auditor.methods.training.objective import (
    CLASSIFICATION,
    IGNORED,
    hidden_tokens,
    next_tokens,
    squares,
    token_loss,
)
from auditor.methods.training.recipe import Settings
from auditor.methods.training.room import Room, cut

VOCABULARY, MASK_ID, SPECIAL = 12, 4, (0, 2, 3)


def texts(rows: int = 40, tokens: int = 9, seed: int = 0) -> dict[str, torch.Tensor]:
    """Ids from 5 on between a 2 and a 3, padded with 0; text i has 4 + i % 6 tokens."""
    ids = torch.randint(5, VOCABULARY, (rows, tokens), generator=torch.Generator().manual_seed(seed))
    ids[:, 0] = 2
    for row in range(rows):
        end = min(3 + row % 6, tokens - 1)
        ids[row, end], ids[row, end + 1 :] = 3, 0
    return {"input_ids": ids, "attention_mask": (ids != 0).long()}


def test_the_next_token_is_scored_wherever_there_is_one() -> None:
    inputs = texts()
    task = next_tokens(VOCABULARY)
    given, labels = task.prepare(inputs, torch.zeros(40), torch.Generator())
    assert given is inputs
    logits = torch.randn(40, 9, VOCABULARY, generator=torch.Generator().manual_seed(1))
    slow = [
        -float(torch.log_softmax(logits[row, place], 0)[inputs["input_ids"][row, place + 1]])
        for row in range(40)
        for place in range(8)
        if inputs["attention_mask"][row, place + 1]
    ]
    assert float(token_loss(logits, labels)) == pytest.approx(np.mean(slow), rel=1e-5)
    assert task.weight(labels) == len(slow)
    assert task.right(logits, labels) is None


def test_texts_of_one_token_have_no_loss_and_break_nothing() -> None:
    inputs = {"input_ids": torch.tensor([[7], [8]]), "attention_mask": torch.ones(2, 1, dtype=torch.long)}
    task = next_tokens(VOCABULARY)
    _, labels = task.prepare(inputs, torch.zeros(2), torch.Generator())
    assert task.weight(labels) == 0
    assert float(token_loss(torch.zeros(2, 1, VOCABULARY), labels)) == 0


def test_hidden_tokens_are_15_percent_and_never_special() -> None:
    inputs = texts(4000, 24)
    inputs["input_ids"][:, 4:] = torch.where(inputs["input_ids"][:, 4:] == 0, 6, inputs["input_ids"][:, 4:])
    inputs["input_ids"][:, -1] = 3
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    own = ~torch.isin(inputs["input_ids"], torch.tensor(SPECIAL))
    task = hidden_tokens(VOCABULARY, MASK_ID, SPECIAL)
    seen, labels = task.prepare(inputs, torch.zeros(4000), torch.Generator().manual_seed(0))
    hidden = labels != IGNORED
    assert not (hidden & ~own).any()
    assert hidden.any(dim=1).all(), "one at least in every text"
    assert torch.equal(labels[hidden], inputs["input_ids"][hidden])
    assert torch.equal(seen["input_ids"][~hidden], inputs["input_ids"][~hidden])
    assert float(hidden.sum() / own.sum()) == pytest.approx(0.15, abs=0.01)
    assert float((seen["input_ids"][hidden] == MASK_ID).float().mean()) == pytest.approx(0.8 + 0.1 / 12, abs=0.02)
    assert float((seen["input_ids"][hidden] == labels[hidden]).float().mean()) == pytest.approx(
        0.1 + 0.1 / 12, abs=0.02
    )


def test_masks_come_from_the_generator_alone() -> None:
    task, inputs = hidden_tokens(VOCABULARY, MASK_ID, SPECIAL), texts()
    first, again, other = (
        task.prepare(inputs, torch.zeros(40), torch.Generator().manual_seed(s))[1] for s in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_regression_has_the_mean_squared_error_and_no_right_answers() -> None:
    outputs, labels = torch.tensor([[1.0], [3.0]]), torch.tensor([2.0, 0.0])
    assert float(squares().loss(outputs, labels)) == 5.0
    assert squares().right(outputs, labels) is None
    assert CLASSIFICATION.right(torch.eye(3), torch.tensor([0, 1, 0])) == 2


class Words:
    """Texts without labels."""

    def __init__(self, rows: int) -> None:
        self.inputs = texts(rows)

    @property
    def rows(self) -> int:
        return len(self.inputs["input_ids"])

    def batch(self, rows: Sequence[int]) -> tuple[Any, torch.Tensor]:
        return {name: value[list(rows)] for name, value in self.inputs.items()}, torch.full((len(rows),), -1)


class Speller(torch.nn.Module):
    """Logits of the next token from the token before it alone."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.table = torch.nn.Embedding(VOCABULARY, VOCABULARY)

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        found: torch.Tensor = self.table(inputs["input_ids"])
        return found


def spelled(objective: Any, **recipe: Any) -> tuple[Any, torch.nn.Module]:
    module = Speller()
    settings = Settings(**{"steps": 60, "batch_size": 10, "record_every": 20, "lr": 0.1, **recipe})
    return train.train(module, module, Words(40), Words(30), settings, 3, objective=objective), module


def test_a_speller_learns_and_has_no_accuracy() -> None:
    run, _ = spelled(next_tokens(VOCABULARY))
    assert run.validation_loss[-1] < log(VOCABULARY) < run.validation_loss[0]
    assert run.accuracy() is None and run.accuracy("train") is None and run.validation_rows == 30


def test_evaluations_hide_the_same_tokens_each_time() -> None:
    run, _ = spelled(hidden_tokens(VOCABULARY, MASK_ID, SPECIAL), lr=1e-30, optimizer="sgd")
    assert run.validation_loss.tolist() == [run.validation_loss[0]] * 4


@pytest.mark.parametrize("objective", [next_tokens(VOCABULARY), hidden_tokens(VOCABULARY, MASK_ID, SPECIAL)])
def test_parts_of_unequal_texts_give_the_gradient_of_the_whole(objective: Any) -> None:
    whole, parts = (spelled(objective, optimizer="sgd", steps=5, micro_batch=size)[0] for size in (None, 3))
    np.testing.assert_allclose(whole.loss, parts.loss, rtol=1e-5)
    np.testing.assert_allclose(whole.gradient_norm, parts.gradient_norm, rtol=1e-4)
    np.testing.assert_allclose(whole.weights()["table.weight"], parts.weights()["table.weight"], atol=1e-6)


def test_long_texts_and_large_vocabularies_are_taken_in_parts_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    task = next_tokens(50_000)
    assert task.most({"input_ids": torch.zeros(4, 500)}) == 2
    assert task.most({"input_ids": torch.zeros(4, 50_000)}) == 1
    assert CLASSIFICATION.most(torch.zeros(4)) is None


class Cramped(torch.nn.Module):
    """Has memory for three examples at once."""

    def __init__(self, most: int = 3) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.linear = torch.nn.Linear(5, 2)
        self.most = most

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if len(inputs) > self.most:
            raise torch.OutOfMemoryError("no room")
        found: torch.Tensor = self.linear(inputs)
        return found


class Dots:
    rows = 24

    def batch(self, rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = torch.randn(24, 5, generator=torch.Generator().manual_seed(0))
        return inputs[list(rows)], (inputs[list(rows), 0] > 0).long()


def test_when_memory_runs_out_the_batch_is_kept_and_halved_into_parts() -> None:
    settings = Settings(optimizer="sgd", steps=6, batch_size=12, record_every=3, lr=0.1)
    cramped, free = (
        train.train(module, module, Dots(), Dots(), settings, 1) for module in (Cramped(), Cramped(most=99))
    )
    np.testing.assert_allclose(cramped.loss, free.loss, rtol=1e-5)
    np.testing.assert_allclose(cramped.gradient_norm, free.gradient_norm, rtol=1e-5)
    np.testing.assert_allclose(cramped.agreement, free.agreement, rtol=1e-4)
    assert cramped.validation_correct.tolist() == free.validation_correct.tolist()
    assert cramped.batch_size == 12
    assert "Memory ran out: gradients are gathered over parts of 3 examples" in cramped.remarks[0]
    assert free.remarks == ()


def test_batch_statistics_of_parts_are_said_to_be_theirs() -> None:
    """16 in parts of at most 5 are four of 4: a part of one example would break batch normalization."""

    def normed() -> torch.nn.Module:
        return torch.nn.Sequential(
            torch.nn.Linear(5, 6), torch.nn.BatchNorm1d(6), torch.nn.ReLU(), torch.nn.Linear(6, 2)
        )

    remarks = []
    for parts in (5, None):
        module = normed()
        settings = Settings(steps=2, batch_size=16, micro_batch=parts)
        remarks.append(train.train(module, module, Dots(), Dots(), settings, 1).remarks)
    assert "over parts of 5 examples" in remarks[0][0] and remarks[1] == ()
    plain = torch.nn.Linear(5, 2)
    assert train.train(plain, plain, Dots(), Dots(), Settings(steps=2, micro_batch=5), 1).remarks == ()


def test_an_example_that_does_not_fit_alone_is_an_error() -> None:
    module = Cramped(most=0)
    with pytest.raises(torch.OutOfMemoryError):
        train.train(module, module, Dots(), Dots(), Settings(steps=2), 1)


def test_room_halves_no_other_error() -> None:
    room = Room(8)
    with pytest.raises(ValueError, match="other"):
        room.within(lambda: (_ for _ in ()).throw(ValueError("other")))
    assert (room.size, room.halved) == (8, 0)
    assert room.parts(10, most=4) == [slice(0, 3), slice(3, 6), slice(6, 10)] and room.parts(0) == []


def test_an_evaluation_in_parts_is_that_of_the_whole() -> None:
    module, dots = Cramped(most=99), Dots()
    found = [look.evaluate(module, dots, 24, 24, CLASSIFICATION, 0, Room(size)) for size in (24, 5)]
    inputs, labels = dots.batch(range(24))
    assert found[0].loss == pytest.approx(float(cross_entropy(module(inputs), labels).detach()), rel=1e-6)
    assert found[1].loss == pytest.approx(found[0].loss, rel=1e-6)
    assert found[0].correct == found[1].correct and cut({"a": inputs, "b": "x"}, slice(0, 2))["b"] == "x"
