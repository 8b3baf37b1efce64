"""Lineage on models with known edits: each edit is named, and nothing else is."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan

import numpy as np
import pytest
import torch
from torch import Tensor

from auditor.methods.lineage.descent import descent
from auditor.methods.lineage.heads import declared_head
from auditor.methods.lineage.likeness import correlation, likeness
from auditor.methods.lineage.names import matched
from auditor.methods.lineage.record import Descent, Pair
from auditor.methods.lineage.update import update


@dataclass(frozen=True)
class State:
    tensors: Mapping[str, Tensor]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}

    def get(self, name: str) -> Tensor:
        return self.tensors[name]


def net(seed: int = 0) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    sides = {"conv.weight": (12, 3, 3, 3), "a.weight": (40, 40), "b.weight": (24, 40), "head.weight": (5, 24)}
    found = {name: torch.randn(*shape, generator=draw) / shape[1] ** 0.5 for name, shape in sides.items()}
    more = {"a.bias": torch.zeros(40), "bn.weight": torch.ones(12), "bn.running_mean": torch.zeros(12)}
    return {**found, **more, "bn.num_batches_tracked": torch.tensor(3)}


def edited(**changes: Tensor) -> dict[str, Tensor]:
    return {**net(), **{name.replace("__", "."): tensor for name, tensor in changes.items()}}


def found(child: Mapping[str, Tensor], parent: Mapping[str, Tensor] | None = None, *new: str) -> Descent:
    return descent(State(child), State(net() if parent is None else parent), frozenset(new))


def pair(result: Descent, name: str) -> Pair:
    return next(each for each in result.pairs if each.name == name)


def tuned(parent: Mapping[str, Tensor], seed: int, size: float = 0.1) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {
        name: value + size * value.std(correction=0) * torch.randn(value.shape, generator=draw)
        if value.is_floating_point()
        else value
        for name, value in parent.items()
    }


def test_an_identical_copy_has_every_digest_and_correlates_at_one() -> None:
    result = found(net())
    assert {each.state for each in result.pairs} == {"identical"}
    assert all(each.digest == each.before_digest for each in result.pairs)
    assert result.correlation() == pytest.approx(1, abs=1e-12)
    assert (result.unexplained(), result.changed_share(), result.stable_rank()) == (0, 0.0, None)


def test_one_changed_tensor_is_named_and_counted_by_elements() -> None:
    edit = net()["b.weight"].clone()
    edit[:3] += 0.01
    result = found(edited(b__weight=edit))
    assert [each.name for each in result.pairs if each.state == "changed"] == ["b.weight"]
    total = sum(value.numel() for name, value in net().items() if "running" not in name and "num" not in name)
    assert result.changed_share() == pytest.approx(3 * 40 / total)
    assert result.unexplained() == 0
    assert result.stable_rank() == pytest.approx(1, abs=1e-5)  # three equal rows: one direction


@pytest.mark.parametrize("name", ["a.weight", "b.weight"])
def test_a_transposed_tensor_is_recognised_square_or_not(name: str) -> None:
    result = found({**net(), name: net()[name].T.contiguous()})
    assert pair(result, name).state == "transposed"
    assert pair(result, name).correlation == pytest.approx(1)
    assert result.unexplained() == 0


def test_a_symmetric_matrix_is_not_called_transposed() -> None:
    whole = net()["a.weight"] + net()["a.weight"].T
    assert likeness(whole * 1.01, whole).state == "changed"


def test_a_tied_tensor_is_listed_once_and_is_no_new_one() -> None:
    result = found({**net(), "out.weight": net()["b.weight"]})
    assert pair(result, "out.weight").tied == "b.weight"
    assert result.unexplained() == 0
    assert len(result.once()) == len(found(net()).once())
    back = found(net(), {**net(), "out.weight": net()["b.weight"]})
    assert (pair(back, "out.weight").state, pair(back, "out.weight").tied) == ("missing", "b.weight")
    assert back.unexplained() == 0


def test_constant_tensors_are_not_tied_to_each_other() -> None:
    result = found({**net(), "c.bias": torch.zeros(40)}, {**net(), "c.bias": torch.zeros(40)})
    assert not any(each.tied for each in result.pairs)


@pytest.mark.parametrize("side", [(40, 40), (600, 700)])
def test_a_merged_adapter_of_rank_two_is_recognised(side: tuple[int, int]) -> None:
    draw = torch.Generator().manual_seed(1)
    base = torch.randn(*side, generator=draw)
    low = torch.randn(side[0], 2, generator=draw) @ torch.randn(2, side[1], generator=draw) * 0.05
    moved = update(base + low, base)
    assert moved is not None and moved.rank == 2
    exact = torch.linalg.svdvals(low.double()).numpy()
    assert moved.stable_rank == pytest.approx(float((exact**2).sum() / exact[0] ** 2), rel=1e-3)
    assert moved.spectrum[:2] == pytest.approx(exact[:2], rel=1e-4)


def test_a_full_update_has_full_rank_and_a_large_one_no_known_rank() -> None:
    draw = torch.Generator().manual_seed(1)
    small, large = (torch.randn(side, side, generator=draw) for side in (40, 600))
    for base, rank in ((small, 40), (large, None)):
        change = torch.randn(base.shape, generator=draw) * 0.01
        moved = update(base + change, base)
        values = np.linalg.svd(change.double().numpy(), compute_uv=False)
        assert moved is not None and moved.rank == rank
        assert moved.stable_rank == pytest.approx((values**2).sum() / values[0] ** 2, rel=0.03)


def test_children_and_siblings_are_family_and_strangers_are_not() -> None:
    child, sibling = tuned(net(), 1), tuned(net(), 2)
    assert (found(child).correlation() or 0) > 0.98
    assert (found(child, sibling).correlation() or 0) > 0.97  # only digests tell a parent from a sibling
    stranger = found(child, net(seed=9))
    assert abs(stranger.correlation() or 0) < 0.05
    assert stranger.unexplained() == 4  # every matrix, and no bias
    assert found(child).unexplained() == 0


def test_hidden_units_in_another_order_read_as_a_stranger() -> None:
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    moved = edited(a__weight=net()["a.weight"][order], b__weight=net()["b.weight"][:, order])
    assert abs(pair(found(moved), "a.weight").correlation) < 0.1
    assert found(moved).unexplained() == 2


def test_a_bfloat16_child_is_equal_up_to_rounding() -> None:
    halved = {name: value.bfloat16() if value.is_floating_point() else value for name, value in net().items()}
    result = found(halved)
    assert pair(result, "a.weight").state == "rounded"
    assert (result.changed_share(), result.unexplained()) == (0.0, 0)
    wider = found(net() | {"a.weight": net()["a.weight"].bfloat16().float()}, halved)
    assert pair(wider, "a.weight").state == "identical"


def test_added_missing_and_reshaped_tensors_are_unexplained_unless_declared() -> None:
    child = {**net(), "head.weight": torch.randn(7, 24), "extra.weight": torch.randn(9, 9)}
    del child["b.weight"]
    result = found(child)
    states = {name: pair(result, name).state for name in ("head.weight", "extra.weight", "b.weight")}
    assert states == {"head.weight": "reshaped", "extra.weight": "added", "b.weight": "missing"}
    assert result.unexplained() == 3
    assert found(child, None, "head.weight", "extra.weight").unexplained() == 1


def test_buffers_are_compared_and_are_no_parameters() -> None:
    result = found({**net(), "bn.running_mean": torch.ones(12), "bn.num_batches_tracked": torch.tensor(9)})
    assert pair(result, "bn.running_mean").state == "changed"
    assert (result.changed_share(), result.unexplained()) == (0.0, 0)


def test_constant_and_broken_tensors() -> None:
    zero, other = torch.zeros(10, 10), torch.randn(10, 10, generator=torch.Generator().manual_seed(0))
    assert isnan(correlation(other, zero)) and isnan(correlation(zero, zero))
    assert correlation(zero, other) == 0
    assert correlation(torch.full((10, 10), float("nan")), other) == 0
    assert update(torch.full((3, 3), float("inf")), torch.ones(3, 3)) is None
    assert pair(found(edited(a__weight=torch.zeros(40, 40))), "a.weight").unexplained
    fresh = update(other, zero)
    assert fresh is not None and fresh.relative == float("inf") and fresh.stable_rank >= 1


def test_nothing_in_common_has_no_correlation() -> None:
    result = found({"x": torch.randn(3, 3)}, {"y": torch.randn(3, 3)})
    assert (result.correlation(), result.changed_share(), result.unexplained()) == (None, None, 2)


def test_leading_words_of_wrappers_are_taken_off_and_said() -> None:
    wrapped = {f"base_model.model.{name.replace('a.', 'a.base_layer.')}": value for name, value in net().items()}
    result = found(wrapped)
    assert result.child_lead == "base_model.model."
    assert result.unexplained() == 0
    assert matched(["a.w"], ["b.w"]).pairs == {}
    assert matched([], ["b.w"]).pairs == {}


def test_correlation_is_that_of_numpy_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.methods.lineage.likeness.PIECE", 7)
    one, other = torch.randn(5, 9) + 3, torch.randn(5, 9) - 2
    assert correlation(one, other) == pytest.approx(np.corrcoef(one.flatten(), other.flatten())[0, 1], abs=1e-6)


def test_a_declared_head_is_found_by_outputs_recipe_or_task() -> None:
    child = {"a.weight": (40, 40), "head.weight": (7, 24), "head.bias": (7,)}
    parent = {"a.weight": (40, 40), "head.weight": (5, 24), "head.bias": (5,)}
    head = frozenset({"head.weight", "head.bias"})
    assert declared_head(child, parent, 7, 5, renewed=False, new_task=False) == head
    assert declared_head(child, child, 7, 7, renewed=True, new_task=False) == head
    assert declared_head(child, child, 7, 7, renewed=False, new_task=False) == frozenset()
    bare = {"a.weight": (40, 40)}
    assert declared_head(child, bare, 7, 40, renewed=False, new_task=True) == head
