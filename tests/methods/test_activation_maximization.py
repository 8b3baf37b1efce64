"""Activation maximization: the optima of linear scores are known, and it finds them."""

import doctest

import numpy as np
import torch

from auditor.methods import activation_maximization
from auditor.methods.activation_maximization import Climb, embedding_of, nearest, picture_of, total_variation

LOW, HIGH = torch.tensor([-1.0, 0.0]), torch.tensor([2.0, 1.0])


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_doctests() -> None:
    assert doctest.testmod(activation_maximization).failed == 0


def test_the_maximum_of_a_linear_score_is_a_corner_of_the_box() -> None:
    weight = torch.randn(1, 2, 3, 3, generator=draw()).repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)

    def score(inputs: torch.Tensor) -> torch.Tensor:
        return (inputs * weight).flatten(1).sum(dim=1)

    low, high = LOW[None, :, None, None], HIGH[None, :, None, None]
    best = float(score(torch.where(weight > 0, high, low)))
    found = picture_of(score, LOW, HIGH, (12, 12), 1.0, Climb(250, smooth=0.0, jitter=0.0), draw())
    assert found.shape == (1, 2, 12, 12) and bool(((found >= low) & (found <= high)).all())
    assert 0.95 * best <= float(score(found)) <= best


def test_more_smoothness_gives_less_variation_and_odd_sides_work() -> None:
    weight = torch.randn(1, 2, 7, 9, generator=draw())
    rough, smooth = (
        picture_of(lambda x: (x * weight).flatten(1).sum(dim=1), LOW, HIGH, (7, 9), 5.0, Climb(80, smooth=much), draw())
        for much in (0.0, 50.0)
    )
    assert total_variation(smooth) < 0.5 * total_variation(rough)


def test_the_seed_decides_all() -> None:
    weight = torch.randn(1, 2, 8, 8, generator=draw())
    one, same, other = (
        picture_of(lambda x: (x * weight).flatten(1).sum(dim=1), LOW, HIGH, (8, 8), 1.0, Climb(5), draw(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_embeddings_turn_towards_a_linear_score_and_stay_as_long_as_tokens_are() -> None:
    weight = torch.randn(6, generator=draw())
    start, free = torch.randn(1, 4, 6, generator=draw(1)), torch.tensor([False, True, True, False])
    found = embedding_of(lambda moved: (moved * weight).sum(dim=(1, 2)), start, free, 2.0, Climb(200))
    assert torch.equal(found[0, ~free], start[0, ~free])
    np.testing.assert_allclose(found[0, free].norm(dim=1), 2.0, rtol=1e-4)
    cosine = torch.nn.functional.cosine_similarity(found[0, free], weight[None])
    assert float(cosine.min()) > 0.99


def test_the_nearest_token_is_by_direction_and_never_a_barred_one() -> None:
    table = torch.tensor([[1.0, 0.0], [0.0, 9.0], [0.0, 1.0], [-1.0, 0.0]])
    asked = torch.tensor([[0.1, 0.0], [0.1, 0.9]])
    assert nearest(asked, table, ()).tolist() == [0, 1]
    assert nearest(asked, table, (0, 1)).tolist() == [2, 2]
