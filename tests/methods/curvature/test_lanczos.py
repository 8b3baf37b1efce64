"""Lanczos against matrices whose eigenvalues are known; honest where it has not converged."""

import numpy as np
import pytest
import torch

from auditor.methods.curvature.lanczos import Run, Wanted, lanczos
from auditor.methods.curvature.products import products
from auditor.methods.curvature.spectrum import WORKING
from auditor.methods.curvature.vectors import dots, norm, orthogonalize, turn
from tests.methods.curvature.bending import Matrix, columns, convolutional, learned, parts, smooth, squares, whole


def found_of(values: list[float], wanted: Wanted, seed: int = 0):  # type: ignore[no-untyped-def]
    matrix = Matrix.with_values(values)
    return matrix, lanczos(matrix, wanted, torch.Generator().manual_seed(seed))


def bulk(n: int = 300, width: float = 0.1) -> list[float]:
    return list(np.random.default_rng(0).normal(0, width, n))


def test_sums_of_millions_keep_their_digits() -> None:
    rows = torch.randn(2, 3_000_000, generator=torch.Generator().manual_seed(0)) + 1
    truth = (rows.double() @ rows[0].double()).numpy()
    assert np.abs(dots(rows, rows[0]) / truth - 1).max() < 1e-6
    assert norm(rows[0]) == pytest.approx(truth[0] ** 0.5, rel=1e-6)


def test_what_is_taken_out_is_gone_and_turning_keeps_the_span() -> None:
    draw = torch.Generator().manual_seed(0)
    rows = torch.linalg.qr(torch.randn(70_000, 5, generator=draw))[0].T.contiguous()
    vector = torch.randn(70_000, generator=draw)
    before = vector.clone()
    amounts = orthogonalize(vector, rows)
    assert np.abs(dots(rows, vector)).max() < 1e-6 * norm(before)
    assert torch.allclose(before - vector, rows.T @ torch.tensor(amounts).float(), atol=1e-5)
    angle = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    turned = rows.clone()
    turn(turned, angle[:3])
    assert torch.allclose(turned[:3], torch.tensor(angle[:3]).float() @ rows, atol=1e-6)


@pytest.mark.parametrize("top, bottom", [(1, 0), (5, 0), (5, 1), (2, 3)])
def test_outermost_pairs_by_sign(top: int, bottom: int) -> None:
    matrix, found = found_of([*bulk(), 9, 7, 5, 4, 3, -2, -12, -1.5], Wanted(top, bottom))
    truth = np.append(matrix.values[:top], matrix.values[::-1][:bottom])
    assert found.converged and (found.errors <= 1e-3).all()
    assert np.abs(found.values - truth).max() <= 1e-5 * 12
    assert matrix.asked == found.steps + top + bottom  # one product more a pair, to verify it
    rows = found.basis
    assert np.abs((rows @ rows.T - torch.eye(len(rows))).numpy()).max() < 1e-5


def test_residuals_are_true_and_enclose_an_eigenvalue() -> None:
    for most in (6, 12, 300):
        matrix, found = found_of([*bulk(width=1.0), 4.0, 3.5], Wanted(3, 1, most=most))
        for value, off, row in zip(found.values, found.residuals, found.reported, strict=True):
            exact = (matrix.matrix.double() @ row.double() - value * row.double()).norm() / row.double().norm()
            assert off == pytest.approx(float(exact), rel=1e-3, abs=1e-6)
            assert np.abs(matrix.values - value).min() <= off + 1e-6


def test_without_enough_products_it_says_so() -> None:
    _, found = found_of(list(np.linspace(-1, 1, 200)), Wanted(3, 1, most=9))
    assert not found.converged and found.errors.max() > 1e-3
    _, short = found_of(list(np.linspace(-1, 1, 200)), Wanted(3, 1, most=2))
    assert not short.converged and len(short.values) == 2
    _, crowded = found_of(list(np.linspace(-1, 1, 200)), Wanted(3, most=400))  # through many restarts
    assert crowded.converged and crowded.steps > 30
    assert crowded.values[0] == pytest.approx(1, abs=1e-5)


def test_memory_is_bounded_however_many_products() -> None:
    run = Run(Matrix.with_values(list(np.linspace(-1, 1, 200))), Wanted(4, 1), torch.Generator())
    assert len(run.basis) == 18 and 18 + WORKING <= 4 + 20


def test_matrices_of_few_ranks_and_sizes() -> None:
    _, zeros = found_of([0.0] * 40, Wanted(3, 1))
    assert zeros.converged and not zeros.values.any() and not zeros.errors.any()
    _, one = found_of([2.0], Wanted(5, 1))
    assert one.converged and one.values == pytest.approx([2.0])
    _, three = found_of([1.0, 2.0, -3.0], Wanted(2, 1))
    assert three.converged and three.values == pytest.approx([2, 1, -3], abs=1e-5)
    _, low = found_of([5.0, 1.0, *[0.0] * 60], Wanted(3, 1))
    assert low.converged and low.values == pytest.approx([5, 1, 0, 0], abs=1e-5)


def test_equal_eigenvalues_are_found_once() -> None:
    _, found = found_of([5.0, 5.0, 1.0, *[0.0] * 60], Wanted(2))
    assert found.values == pytest.approx([5, 1], abs=1e-5)


def test_a_start_of_ones_own() -> None:
    matrix = Matrix.with_values([*bulk(), 6.0])
    exact = torch.linalg.eigh(matrix.matrix.double())[1][:, -1].float()
    near = lanczos(matrix, Wanted(1), torch.Generator(), exact)
    assert near.steps == 1 and near.values[0] == pytest.approx(6.0, abs=1e-5)


@pytest.mark.parametrize("kind", ["columns", "squares"])
def test_eigenvalues_of_small_nets_to_a_ten_thousandth(kind: str) -> None:
    inputs, labels = columns() if kind == "columns" else squares()
    net = learned(smooth() if kind == "columns" else convolutional(), inputs, labels, 20)
    truth = np.sort(
        np.linalg.eigvalsh(whole(net, lambda f: torch.nn.functional.cross_entropy(f(inputs.double()), labels)))
    )[::-1]
    with products(net, parts(net, inputs, labels, [10])) as operator:
        found = lanczos(operator, Wanted(5, 1), torch.Generator().manual_seed(0))
    assert found.converged
    assert np.abs(found.values[:5] / truth[:5] - 1).max() <= 1e-4
    assert found.values[5] == pytest.approx(truth[-1], rel=1e-4)
