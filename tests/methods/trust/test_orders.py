"""Orders: ranks against a loop, rolls that keep a map's structure, ties that are no reading order."""

import pytest
import torch

from auditor.methods.trust.orders import ranks, rolled, scattered

ALL = torch.ones(40, 24, dtype=torch.bool)


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_ranks_are_those_of_a_loop() -> None:
    values = torch.randn(5, 9, generator=drawn())
    own = torch.rand(5, 9, generator=drawn(1)) > 0.3
    found = ranks(values, own, drawn())
    for row in range(5):
        mine = sorted(own[row].nonzero()[:, 0].tolist(), key=lambda at: -float(values[row, at]))
        assert [int(found[row, at]) for at in mine] == list(range(len(mine)))
        assert sorted(found[row].tolist()) == list(range(9))


def test_ties_are_broken_at_random_and_equally_each_time() -> None:
    one, same, other = (ranks(torch.zeros(40, 24), ALL, drawn(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)
    first = (one == 0).long().argmax(dim=1)
    assert len(set(first.tolist())) > 10  # not the same place in each example


def test_a_map_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(ValueError, match="not finite"):
        ranks(torch.full((1, 3), torch.nan), torch.ones(1, 3, dtype=torch.bool), drawn())


def test_a_grid_is_rolled_on_the_torus_and_never_by_nothing() -> None:
    places = ranks(torch.randn(40, 24, generator=drawn()), ALL, drawn())
    found = rolled(places, ALL, (4, 6), 30, drawn(2))
    seen = set()
    for row, copy in ((row, copy) for row in range(40) for copy in range(30)):
        grid, moved = places[row].reshape(4, 6), found[row, copy].reshape(4, 6)
        shifts = [
            (down, across) for down in range(4) for across in range(6)
            if torch.equal(torch.roll(grid, (down, across), (0, 1)), moved)
        ]  # fmt: skip
        assert len(shifts) == 1 and shifts != [(0, 0)]
        seen.add(shifts[0])
    assert len(seen) == 23  # every shift but none


def test_a_text_is_rolled_along_its_own_tokens() -> None:
    own = torch.tensor([[False, True, True, False, True, True]])
    places = ranks(torch.tensor([[9.0, 4.0, 3.0, 9.0, 2.0, 1.0]]), own, drawn())
    found = rolled(places, own, (6,), 50, drawn(3))[0]
    inside = {tuple(copy[own[0]].tolist()) for copy in found}
    assert inside == {(3, 0, 1, 2), (2, 3, 0, 1), (1, 2, 3, 0)}
    assert torch.equal(found[:, ~own[0]], places[:, ~own[0]].expand(50, -1))


def test_a_single_part_stays_where_it_is() -> None:
    own = torch.tensor([[True, False, False]])
    places = ranks(torch.zeros(1, 3), own, drawn())
    assert torch.equal(rolled(places, own, (3,), 2, drawn()), places[:, None].expand(1, 2, 3))


def test_scattered_orders_are_even() -> None:
    found = scattered(ALL[:1, :4], 4000, drawn())[0]
    share = torch.stack([(found == place).float().mean(dim=0) for place in range(4)])
    assert (share - 0.25).abs().max() < 0.03
