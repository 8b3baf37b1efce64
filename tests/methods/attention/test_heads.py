"""Numbers of heads: naive loops as oracles, known cases, causal models, padding."""

import math

import pytest
import torch
from torch import Tensor

from auditor.methods.attention.heads import comparable, entropy, is_causal, query_dependence, redundancy

OWN = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1]], dtype=torch.bool)


def weights(causal: bool = False, seed: int = 0) -> Tensor:
    """Three examples, two heads, six tokens; nothing on padding, as a mask leaves it."""
    scores = torch.randn(3, 2, 6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    scores = scores.masked_fill(~OWN[:, None, None], -math.inf)
    if causal:
        scores = scores.masked_fill(torch.ones(6, 6, dtype=torch.bool).triu(1), -math.inf)
    found = scores.softmax(-1).nan_to_num(0.0)
    return found if causal else torch.where(OWN[:, None, :, None], found, torch.full_like(found, 1 / 6))


def naive_dependence(weights: Tensor, own: Tensor, causal: bool) -> float:
    places = own.nonzero().ravel().tolist()
    middle = len(places) // 2
    queries, keys = (places[middle:], places[: middle + 1]) if causal else (places, places)
    rows = [[float(weights[q, k]) for k in keys] for q in queries]
    rows = [[each / sum(row) for each in row] for row in rows]
    mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    return sum(sum(abs(a - b) for a, b in zip(row, mean, strict=True)) / 2 for row in rows) / len(rows)


@pytest.mark.parametrize("causal", [False, True])
def test_query_dependence_equals_naive_loops(causal: bool) -> None:
    made = weights(causal)
    assert is_causal([made, made], OWN) == causal
    found = query_dependence(made, comparable(OWN, causal))
    for row in range(3):
        for head in range(2):
            assert float(found[row, head]) == pytest.approx(naive_dependence(made[row, head], OWN[row], causal))


@pytest.mark.parametrize("causal", [False, True])
def test_a_head_that_asks_nothing_depends_on_no_query(causal: bool) -> None:
    """Scores that are the same for every query: what each sees of them differs in a causal model, its ranking not."""
    scores = torch.randn(1, 1, 1, 6, dtype=torch.double).expand(1, 1, 6, 6)
    mask = torch.ones(6, 6, dtype=torch.bool).triu(1)
    made = scores.masked_fill(mask, -math.inf).softmax(-1) if causal else scores.softmax(-1)
    found = query_dependence(made, comparable(torch.ones(1, 6, dtype=torch.bool), causal))
    assert float(found) == pytest.approx(0, abs=1e-9)


def test_entropy_does_not_tell_collapse_but_query_dependence_does() -> None:
    seen = comparable(torch.ones(1, 6, dtype=torch.bool), False)
    collapsed = torch.zeros(1, 1, 6, 6, dtype=torch.double)
    collapsed[..., 2] = 1
    permuting = torch.eye(6, dtype=torch.double)[None, None]
    assert entropy(collapsed, seen) == entropy(permuting, seen) == 0
    assert query_dependence(collapsed, seen) == 0
    assert float(query_dependence(permuting, seen)) == pytest.approx(5 / 6)


def test_entropy_is_one_for_even_attention_over_what_is_seen() -> None:
    own = OWN[1:2]
    even = (own[:, None, None] / own.sum()).double().expand(1, 1, 6, 6)
    assert float(entropy(even, comparable(own, False))) == pytest.approx(1)
    steps = torch.ones(6, 6, dtype=torch.double).tril()
    causal = (steps / steps.sum(-1, keepdim=True))[None, None]
    assert float(entropy(causal, comparable(OWN[:1], True))) == pytest.approx(1)


def test_entropy_equals_naive_loops() -> None:
    made, found = weights(), entropy(weights(), comparable(OWN, False))
    for row in range(3):
        places = OWN[row].nonzero().ravel().tolist()
        rows = [[float(made[row, 1, q, k]) for k in places] for q in places]
        wanted = sum(-sum(p * math.log(p) for p in line) / math.log(len(places)) for line in rows) / len(places)
        assert float(found[row, 1]) == pytest.approx(wanted)


def test_redundancy_is_one_for_equal_heads_and_falls_as_they_part() -> None:
    one = weights()[:, :1]
    torch.testing.assert_close(redundancy(one.expand(3, 4, 6, 6), OWN), torch.ones(3, dtype=torch.double))
    made = weights()
    apart = (made[1, 0] - made[1, 1]).abs().sum(-1)[:4].mean() / 2
    assert float(redundancy(made, OWN)[1]) == pytest.approx(1 - float(apart))
    with pytest.raises(ValueError, match="single head"):
        redundancy(one, OWN)


def test_too_few_queries_are_said() -> None:
    own = torch.tensor([[1, 1, 0], [1, 0, 0]], dtype=torch.bool)
    assert comparable(own, False).usable.tolist() == [True, False]
    assert comparable(own, True).usable.tolist() == [False, False]


def test_padding_before_a_text_does_not_hide_that_a_model_is_causal() -> None:
    """A query on padding sees no key, and a softmax over nothing is even over all, later ones too."""
    made = torch.where(OWN[:, None, :, None], weights(causal=True), torch.tensor(1 / 6, dtype=torch.double))
    assert is_causal([made], OWN) and not is_causal([made], torch.ones_like(OWN))
    assert not is_causal([torch.ones(2, 1, 1, 1)], torch.ones(2, 1, dtype=torch.bool))
