"""Rollout and gradient-weighted attention: hand-made cases, naive loops as oracles, the tokens that are read."""

import doctest

import pytest
import torch
from torch import Tensor

from auditor.methods.attention import rollout
from auditor.methods.attention.rollout import as_map, attention_rollout, gradient_attention, read_positions


def weights(layers: int, n: int = 3, heads: int = 2, t: int = 5, seed: int = 0) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(n, heads, t, t, generator=draw, dtype=torch.double).softmax(-1) for _ in range(layers)]


def test_the_examples_in_the_text_hold() -> None:
    assert doctest.testmod(rollout).failed == 0


def test_uniform_attention_rolls_out_to_the_known_matrix() -> None:
    t, layers = 5, 3
    uniform = [torch.full((2, 4, t, t), 1 / t, dtype=torch.double)] * layers
    kept = 0.5**layers
    wanted = kept * torch.eye(t, dtype=torch.double) + (1 - kept) / t
    torch.testing.assert_close(attention_rollout(uniform), wanted.expand(2, t, t))


def test_two_layers_by_an_explicit_matrix_product() -> None:
    first = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    second = torch.tensor([[0.2, 0.8], [0.0, 1.0]])
    wanted = torch.tensor([[0.6, 0.4], [0.0, 1.0]]) @ torch.tensor([[1.0, 0.0], [0.25, 0.75]])
    torch.testing.assert_close(attention_rollout([first[None, None], second[None, None]])[0], wanted)


def test_rollout_equals_naive_loops_with_padding() -> None:
    layers, own = weights(3), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [0, 0, 1, 1, 1]], dtype=torch.bool)
    found = attention_rollout(layers, own)
    for row in range(3):
        places = [p for p in range(5) if own[row, p]]
        rolled = {(q, k): float(q == k) for q in places for k in places}
        for layer in layers:
            share = {}
            for q in places:
                line = [sum(float(layer[row, h, q, k]) for h in range(2)) / 2 for k in places]
                for k, value in zip(places, line, strict=True):
                    share[q, k] = value / sum(line) / 2 + 0.5 * (q == k)
            rolled = {(q, k): sum(share[q, m] * rolled[m, k] for m in places) for q in places for k in places}
        for (q, k), value in rolled.items():
            assert float(found[row, q, k]) == pytest.approx(value)
        assert found[row][places].sum(-1) == pytest.approx(torch.ones(len(places)))


def test_gradient_attention_equals_naive_loops() -> None:
    layers, slopes = weights(2), [torch.randn(3, 2, 5, 5, dtype=torch.double) for _ in range(2)]
    found = gradient_attention(layers, slopes)
    for row in range(3):
        rolled = torch.eye(5, dtype=torch.double)
        for layer, slope in zip(layers, slopes, strict=True):
            step = torch.zeros(5, 5, dtype=torch.double)
            for head in range(2):
                for q in range(5):
                    for k in range(5):
                        step[q, k] += max(0.0, float(layer[row, head, q, k] * slope[row, head, q, k])) / 2
            rolled = rolled + step @ rolled
        torch.testing.assert_close(found[row], rolled - torch.eye(5, dtype=torch.double))


def test_what_lowers_the_target_has_no_relevance() -> None:
    layers = weights(2)
    assert not gradient_attention(layers, [-torch.ones_like(each) for each in layers]).any()


def test_only_read_tokens_make_the_map() -> None:
    slope = torch.zeros(3, 2, 4, 4)
    slope[0, :, 0] = 1  # BERT: the first token
    slope[1, :, 2] = -2  # a decoder: the last one before the padding
    own = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]], dtype=torch.bool)
    read = read_positions(slope, own)
    assert read.tolist() == [[True, False, False, False], [False, False, True, False], [True, True, False, False]]
    rolled = torch.arange(48.0).reshape(3, 4, 4)
    torch.testing.assert_close(as_map(rolled, read)[1], rolled[1, 2])
    torch.testing.assert_close(as_map(rolled, read)[2], rolled[2, :2].mean(0))


def test_nothing_to_roll_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one layer"):
        attention_rollout([])
