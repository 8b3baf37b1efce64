"""Max-sensitivity: zero where the map cannot move, the analytic value where it can, large where it shatters."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from auditor.methods.attribution.explain import method_of
from auditor.methods.attribution.method import Context, Maps
from auditor.methods.trust.sensitivity import max_sensitivity, nudged


class Plain:
    """Any module on rows or pictures."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module.eval()

    def logits(self, inputs: Any) -> torch.Tensor:
        return self.module(inputs)

    def gradient_inputs(self, inputs: Any) -> tuple[torch.Tensor, Any]:
        leaf = inputs.detach().clone().requires_grad_(True)
        return leaf, leaf


@dataclass(frozen=True)
class Itself:
    """A map that is the input: its sensitivity is the noise's."""

    name: ClassVar[str] = "itself"
    signed: ClassVar[bool] = True

    def maps(self, model: Any, inputs: Any, targets: torch.Tensor, context: Context) -> Maps:
        return Maps(inputs.clone())


INPUTS = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
TARGETS = torch.zeros(40, dtype=torch.int64)


def test_the_gradient_of_a_linear_model_does_not_move() -> None:
    found = max_sensitivity(method_of("saliency"), Plain(nn.Linear(6, 2)), INPUTS, TARGETS, Context(), 4, 0.1)
    assert torch.equal(found, torch.zeros(40))


def test_a_map_that_is_the_input_moves_as_the_noise_does() -> None:
    model, context = Plain(nn.Linear(6, 2)), Context(seed=3)
    found = max_sensitivity(Itself(), model, INPUTS, TARGETS, context, 3, 0.1)
    generator, want = context.generator(), torch.zeros(40)
    for _ in range(3):
        noise = (torch.rand(INPUTS.shape, generator=generator) * 2 - 1) * 0.1 * INPUTS.std(dim=1, keepdim=True)
        want = torch.maximum(want, noise.norm(dim=1) / INPUTS.norm(dim=1))
    assert torch.allclose(found, want, atol=1e-6) and found.max() < 0.2


def test_a_planted_shattered_gradient_is_far_more_sensitive_than_a_smooth_one() -> None:
    class Shattered(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([torch.sin(300 * x).sum(dim=1), x.sum(dim=1)], dim=1)

    method = method_of("saliency")
    rough = max_sensitivity(method, Plain(Shattered()), INPUTS, TARGETS, Context(), 8, 0.02)
    smooth = max_sensitivity(method, Plain(nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))), INPUTS,
                             TARGETS, Context(), 8, 0.02)  # fmt: skip
    assert rough.mean() > 0.5 > 0.05 > smooth.mean()


def test_an_empty_map_is_not_a_number_and_more_draws_never_find_less() -> None:
    class Flat(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(x[:, :2] - 0.5)

    few = max_sensitivity(method_of("saliency"), Plain(Flat()), INPUTS, TARGETS, Context(), 2, 0.02)
    assert torch.equal(few.isnan(), INPUTS[:, 0] <= 0.5)
    net = Plain(nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2)))
    two, nine = (max_sensitivity(method_of("saliency"), net, INPUTS, TARGETS, Context(), k, 0.05) for k in (2, 9))
    assert (nine >= two).all() and (nine > two).any()


def test_nudges_are_bounded_and_repeat() -> None:
    model = Plain(nn.Linear(6, 2))
    one, same = (nudged(model, INPUTS, 0.1, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, same)
    assert ((one - INPUTS).abs() <= 0.1 * INPUTS.std(dim=1, keepdim=True) + 1e-6).all()
    assert not torch.equal(one, INPUTS)
