"""Local surrogates: exact on linear models, honest where the model is not linear."""

import doctest

import numpy as np
import pytest
import torch
from asked import Net
from sklearn.linear_model import Ridge
from torch import nn

from auditor.methods import local_linear
from auditor.methods.attribution.explain import method_of
from auditor.methods.attribution.method import Context
from auditor.methods.attribution.perturb import Forwards
from auditor.methods.attribution.removal import removal_of
from auditor.methods.local_linear import Coalitions, asked_coalitions, fidelity, ridge, tangent_r2, weighted_r2


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


ROWS = torch.randn(5, 6, generator=generator(1))
BACKGROUND = torch.randn(50, 6, generator=generator(2))
TARGETS = torch.tensor([0, 1, 0, 1, 0])


def linear() -> Net:
    torch.manual_seed(0)
    return Net(nn.Linear(6, 2))


def test_doctests() -> None:
    found = doctest.testmod(local_linear)
    assert found.attempted and not found.failed


def test_ridge_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    seen = Coalitions(rng.random((80, 7)) < 0.5, rng.normal(size=80))
    want = Ridge(alpha=2.5).fit(seen.kept, seen.values, sample_weight=seen.weights)
    found, intercept = ridge(seen, 2.5)
    np.testing.assert_allclose(found, want.coef_, atol=1e-9)
    assert intercept == pytest.approx(want.intercept_)
    guess = seen.kept @ found + intercept
    assert weighted_r2(seen.values, guess, seen.weights) == pytest.approx(
        want.score(seen.kept, seen.values, seen.weights)
    )


def test_on_a_linear_model_coefficients_are_contributions_within_the_penalty() -> None:
    model, context = linear(), Context(background=BACKGROUND)
    want = model.module.weight[TARGETS].detach() * (ROWS - BACKGROUND.mean(dim=0))
    free = method_of("lime", penalty=0.0).maps(model, ROWS, TARGETS, context).values
    assert torch.allclose(free, want, atol=1e-4)
    held = method_of("lime").maps(model, ROWS, TARGETS, context).values
    assert torch.nn.functional.cosine_similarity(held, want).min() > 0.99
    assert (held.norm(dim=1) < want.norm(dim=1)).all()
    again = method_of("lime").maps(model, ROWS, TARGETS, context).values
    assert torch.equal(held, again)


def test_fidelity_is_one_on_a_linear_model_and_low_where_parts_only_matter_together() -> None:
    class Parity(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([torch.sign(x - BACKGROUND.mean(dim=0)).abs().sum(dim=1) % 2] * 2, dim=1)

    found = []
    for model in (linear(), Net(Parity())):
        removal = removal_of(ROWS, "mean", Context(background=BACKGROUND))
        forwards, draw = Forwards(model, 64), generator(3)
        seen, fresh = (asked_coalitions(forwards, removal, TARGETS, 200, draw) for _ in range(2))
        found.append([fidelity(ridge(a, 0.01), b) for a, b in zip(seen, fresh, strict=True)])
    assert min(found[0]) > 0.999 and max(found[1]) < 0.3


def test_the_tangent_of_a_line_is_the_line_and_that_of_a_wave_holds_only_nearby() -> None:
    class Wave(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sin(20 * x).sum(dim=1, keepdim=True).expand(-1, 2)

    radii = (0.001, 0.5)
    straight = tangent_r2(linear(), ROWS, TARGETS, radii, 40, Context())
    assert straight.min() > 0.999
    wave = tangent_r2(Net(Wave()), ROWS, TARGETS, radii, 40, Context())
    assert wave[:, 0].min() > 0.95 and wave[:, 1].max() < 0.5


def test_a_score_that_never_varies_has_no_r2() -> None:
    class Constant(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 0 * x[:, :2]

    assert np.isnan(tangent_r2(Net(Constant()), ROWS, TARGETS, (0.1,), 10, Context())).all()
