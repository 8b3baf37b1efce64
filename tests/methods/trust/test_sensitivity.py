"""Max-sensitivity: zero where the map cannot move, the analytic value where it can, large where it shatters."""

import doctest
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from asked import Net
from torch import nn

from auditor.methods.attribution import steps as steps_module
from auditor.methods.attribution.explain import method_of
from auditor.methods.attribution.method import Context, Maps
from auditor.methods.attribution.steps import Steps
from auditor.methods.trust import sensitivity as module
from auditor.methods.trust.sensitivity import largest_changes
from auditor.methods.trust.sensitivity import max_sensitivity as relative


@dataclass(frozen=True)
class Itself:
    """A map that is the input: its sensitivity is the noise's."""

    name: ClassVar[str] = "itself"
    signed: ClassVar[bool] = True

    def maps(self, model: Any, inputs: Any, targets: torch.Tensor, context: Context) -> Maps:
        return Maps(inputs.clone())


def max_sensitivity(*asked: Any) -> torch.Tensor:
    return relative(*largest_changes(*asked))


INPUTS = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
TARGETS = torch.zeros(40, dtype=torch.int64)


def test_the_gradient_of_a_linear_model_does_not_move() -> None:
    found = max_sensitivity(method_of("saliency"), Net(nn.Linear(6, 2)), INPUTS, TARGETS, Context(), 4, 0.1)
    assert torch.equal(found, torch.zeros(40))


def test_a_map_that_is_the_input_moves_as_the_noise_does() -> None:
    model, context = Net(nn.Linear(6, 2)), Context(seed=3)
    found = max_sensitivity(Itself(), model, INPUTS, TARGETS, context, 3, 0.1)
    steps, want = Steps(INPUTS, INPUTS, context), torch.zeros(40)
    for _ in range(3):
        noise = steps.uniform() * 0.1 * INPUTS.std(dim=1, keepdim=True, correction=0)
        want = torch.maximum(want, noise.norm(dim=1) / INPUTS.norm(dim=1))
    assert torch.allclose(found, want, atol=1e-6) and found.max() < 0.2


def test_a_planted_shattered_gradient_is_far_more_sensitive_than_a_smooth_one() -> None:
    class Shattered(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([torch.sin(300 * x).sum(dim=1), x.sum(dim=1)], dim=1)

    method = method_of("saliency")
    rough = max_sensitivity(method, Net(Shattered()), INPUTS, TARGETS, Context(), 8, 0.02)
    smooth = max_sensitivity(method, Net(nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))), INPUTS,
                             TARGETS, Context(), 8, 0.02)  # fmt: skip
    assert rough.mean() > 0.5 > 0.05 > smooth.mean()


def test_an_empty_map_is_not_a_number_and_more_draws_never_find_less() -> None:
    class Flat(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(x[:, :2] - 0.5)

    few = max_sensitivity(method_of("saliency"), Net(Flat()), INPUTS, TARGETS, Context(), 2, 0.02)
    assert torch.equal(few.isnan(), INPUTS[:, 0] <= 0.5)
    net = Net(nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2)))
    two, nine = (max_sensitivity(method_of("saliency"), net, INPUTS, TARGETS, Context(), k, 0.05) for k in (2, 9))
    assert (nine >= two).all() and (nine > two).any()


def test_doctests() -> None:
    for each in (module, steps_module):
        found = doctest.testmod(each)
        assert found.attempted and not found.failed


def test_steps_are_an_examples_own_whatever_the_batch() -> None:
    steps = Steps(INPUTS, INPUTS, Context(seed=5))
    first, second = steps.uniform(), steps.uniform()
    assert first.abs().max() <= 1 and not torch.equal(first, second)
    alone = Steps(INPUTS[7:8], INPUTS[7:8], Context(seed=5))
    assert torch.equal(alone.uniform()[0], first[7]) and torch.equal(alone.uniform()[0], second[7])
    assert len({tuple(row) for row in first.tolist()}) == 40, "no two examples share their draws"
    assert not torch.equal(Steps(INPUTS, INPUTS, Context(seed=6)).uniform(), first)


def test_steps_of_texts_know_nothing_of_padding_on_either_side() -> None:
    ids, embedded = torch.tensor([[5, 6, 7]]), torch.randn(1, 3, 4)
    bare = Steps(embedded, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, Context())
    want, pad = bare.normal(), torch.zeros(1, 2, dtype=torch.int64)
    for order in (1, -1):
        sides = ids, pad
        padded = torch.cat(sides[::order], dim=1)
        leaf = torch.cat((embedded, torch.full((1, 2, 4), 9.0))[::order], dim=1)
        own = padded != 0
        steps = Steps(leaf, {"input_ids": padded, "attention_mask": own.long()}, Context())
        assert torch.equal(steps.normal()[0, own[0]], want[0]) and torch.allclose(steps.spread, bare.spread)


def test_columns_are_moved_in_their_own_units_also_a_single_one() -> None:
    background = torch.tensor([[0.0, 0.0], [2.0, 2000.0]])
    steps = Steps(torch.ones(3, 2), torch.ones(3, 2), Context(background=background))
    assert steps.spread.tolist() == [[1.0, 1000.0]] * 3
    one, model = torch.arange(40.0)[:, None], Net(nn.Linear(1, 2))
    found = max_sensitivity(Itself(), model, one, TARGETS, Context(background=one), 4, 0.1)
    assert torch.isfinite(found[1:]).all() and found[1:].min() > 0 and found[0].isnan()


def test_what_no_nudge_moves_is_no_number_and_an_infinite_map_is_an_error() -> None:
    grey = torch.ones(2, 1, 4, 4)
    largest, size = largest_changes(Itself(), Net(nn.Flatten()), grey, TARGETS[:2], Context(), 2, 0.1)
    assert largest.isnan().all() and (size > 0).all()

    class Broken(Itself):
        def maps(self, model: Any, inputs: Any, targets: torch.Tensor, context: Context) -> Maps:
            return Maps(inputs / 0)

    with pytest.raises(ValueError, match="not finite"):
        largest_changes(Broken(), Net(nn.Linear(6, 2)), INPUTS, TARGETS, Context(), 2, 0.1)
