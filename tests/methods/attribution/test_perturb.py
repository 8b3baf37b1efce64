"""Perturbed forwards: the same numbers whatever the batch, and smaller batches when memory runs out."""

from typing import Any

import pytest
import torch
from torch import nn

from auditor.methods.attribution.method import Context
from auditor.methods.attribution.perturb import Forwards
from auditor.methods.attribution.removal import removal_of


class Linear:
    """A linear model that runs out of memory above some batch size."""

    def __init__(self, most: int = 1000) -> None:
        self.module: nn.Module = nn.Linear(4, 3)
        self.most = most

    def logits(self, inputs: Any) -> torch.Tensor:
        if len(inputs) > self.most:
            raise torch.OutOfMemoryError("not enough memory")
        return self.module(inputs)

    def gradient_inputs(self, inputs: Any) -> tuple[torch.Tensor, Any]:
        raise NotImplementedError


def asked(model: Linear, batch: int) -> tuple[Forwards, torch.Tensor]:
    inputs = torch.arange(20.0).reshape(5, 4)
    removal = removal_of(inputs, "mean", Context(background=torch.zeros(1, 4)))
    rows, removed = torch.arange(5).repeat_interleave(4), torch.eye(4, dtype=torch.bool).repeat(5, 1)
    forwards = Forwards(model, batch)
    return forwards, forwards.scores(removal, torch.tensor([0, 1, 2, 0, 1]), rows, removed)


def test_scores_are_those_of_a_loop() -> None:
    model = Linear()
    forwards, found = asked(model, 7)
    inputs, targets = torch.arange(20.0).reshape(5, 4), [0, 1, 2, 0, 1]
    for at, value in enumerate(found.tolist()):
        one = inputs[at // 4].clone()
        one[at % 4] = 0
        assert value == pytest.approx(model.module(one)[targets[at // 4]].item(), abs=1e-5)
    assert forwards.count == 20 and forwards.halved == 0


def test_batches_halve_until_they_fit_and_say_so() -> None:
    model = Linear(most=3)
    forwards, found = asked(model, 16)
    model.most = 1000
    assert torch.allclose(found, asked(model, 16)[1]) and (forwards.batch_size, forwards.halved) == (2, 3)


def test_one_input_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        asked(Linear(most=0), 4)


def test_a_score_that_is_not_finite_is_an_error_and_not_a_map() -> None:
    class Broken(Linear):
        def logits(self, inputs: Any) -> torch.Tensor:
            return torch.where(inputs[:, :1] == 0, torch.nan, super().logits(inputs))

    with pytest.raises(ValueError, match="not finite"):
        asked(Broken(), 7)
    assert Forwards(Linear(), 4).over(0, lambda part: None, torch.zeros(0, dtype=torch.int64)).shape == (0,)
