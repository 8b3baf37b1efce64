"""The projection keeps inner products: unbiased over names, with a small deviation whatever the vectors are."""

import numpy as np
import pytest
import torch
from torch import Tensor

from auditor.recorder.projection import BLOCK, NUMBERS, PRIME, Projection, drawn, signs

NAMES = 300


def _column() -> Tensor:
    found = torch.zeros(512, 512)
    found[:, 7] = 1
    return found


def _rank_one() -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.outer(torch.randn(300, generator=draw), torch.randn(300, generator=draw))


VECTORS = {
    "noise": torch.randn(150_000, generator=torch.Generator().manual_seed(0)),
    "constant": torch.ones(150_000),
    "one column": _column(),
    "rank one": _rank_one(),
    "repeated by block": torch.randn(BLOCK, generator=torch.Generator().manual_seed(2)).repeat(3),
}


def projections(vector: Tensor) -> np.ndarray:
    """[NAMES, 256], one name a row."""
    return np.array([Projection({f"t{n}": vector.numel()}).of({f"t{n}": vector}) for n in range(NAMES)])


@pytest.mark.parametrize("name", VECTORS)
def test_norms_are_unbiased_with_the_deviation_of_a_count_sketch(name: str) -> None:
    vector = VECTORS[name]
    ratios = np.square(projections(vector)).sum(1) / float(vector.double().square().sum())
    assert abs(ratios.mean() - 1) <= 3 * ratios.std() / NAMES**0.5
    # The square of a norm has twice the variance of an inner product of two vectors at right angles.
    assert ratios.std() <= 1.25 * 2**0.5 / 16


@pytest.mark.parametrize("name", VECTORS)
def test_inner_products_are_unbiased(name: str) -> None:
    one = VECTORS[name]
    draw = torch.Generator().manual_seed(3)
    other = one + one.square().mean().sqrt() * torch.randn(one.shape, generator=draw)
    true = float((one.double() * other.double()).sum())
    found = (projections(one) * projections(other)).sum(1)
    scale = float(one.double().norm() * other.double().norm())
    assert abs(found.mean() - true) <= 3 * found.std() / NAMES**0.5
    assert found.std() / scale <= 1.25 * 2**0.5 / 16


def test_it_is_the_slow_and_obvious_sum() -> None:
    draw = torch.Generator().manual_seed(0)
    tensors = {"a": torch.randn(BLOCK + 300, generator=draw), "b": torch.randn(3, 5, generator=draw)}
    slow = np.zeros(PRIME)
    table = signs("cpu").double().numpy()
    for name, tensor in tensors.items():
        flat = tensor.flatten().double().numpy()
        draws = drawn(name, flat.size)
        for i, value in enumerate(flat):
            block, place = divmod(i, BLOCK)
            row, bucket = divmod(place, PRIME)
            slow[bucket] += value * table[draws.starts[block] + place] * float(draws.rows[block, row])
    slow[0] += slow[NUMBERS]
    found = Projection({name: tensor.numel() for name, tensor in tensors.items()}).of(tensors)
    assert found == pytest.approx(slow[:NUMBERS], abs=3e-4)


def test_it_depends_on_names_and_values_alone() -> None:
    tensor = torch.arange(10.0)
    same = Projection({"a": 10}).of({"a": tensor})
    assert (same == Projection({"a": 10}).of({"a": tensor.view(2, 5)})).all()
    assert (same != Projection({"b": 10}).of({"b": tensor})).any()
    assert set(signs("cpu").tolist()) == {1.0, -1.0} and abs(float(signs("cpu").mean())) < 0.01
