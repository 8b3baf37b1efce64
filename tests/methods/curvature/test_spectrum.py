"""Trace and density against whole spectra, and the run that gives everything."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import ndtr
from scipy.stats import wasserstein_distance
from torch.nn.functional import cross_entropy, normalize

from auditor.methods.curvature import spectrum as engine
from auditor.methods.curvature.density import assembled, probe
from auditor.methods.curvature.found import Density, Settings, Spectrum
from auditor.methods.curvature.lanczos import Wanted, lanczos
from auditor.methods.curvature.products import Part, products
from auditor.statistics import moments, t_interval
from tests.methods.curvature.bending import Matrix, columns, deep, learned, parts, rectified, smooth, squares, whole


def heavy(n: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """A spectrum as networks have it: most near zero, some below, a few far out."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(0, 0.01, n - 40), rng.lognormal(-2, 1, 35), [9.0, 7.0, 4.0, 3.0, 2.5]])


APART, OFF = 0.1, 0.02
"""The largest distances of `far`."""


def far(density: Density, truth: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Wasserstein distance over that of zeros, and the largest error of the smoothed distribution away from zero."""
    apart = wasserstein_distance(truth, density.nodes, None, density.weights)
    extent = truth.max() - truth.min()
    points = np.linspace(truth.min(), truth.max(), 2001)
    points = points[np.abs(points) > 0.01 * extent]

    def reached(nodes: Any, weights: Any) -> Any:
        return ndtr((points[:, None] - nodes) / (0.01 * extent)) @ weights

    off = reached(density.nodes, density.weights) - reached(truth, np.full(len(truth), 1 / len(truth)))
    return apart / np.abs(truth).mean(), float(np.abs(off).max())


@pytest.mark.slow
def test_the_interval_of_the_trace_of_a_network_holds_it_in_nine_of_ten_runs() -> None:
    inputs, labels = columns()
    net, hits = learned(smooth(width=12), inputs, labels, 20), 0
    with products(net, parts(net, inputs, labels, [])) as operator:
        matrix = Matrix.of(engine.full_matrix(operator))
    truth = float(matrix.values.sum())
    for seed in range(200):
        draw = torch.Generator().manual_seed(seed)
        pairs = lanczos(matrix, Wanted(5, 1), draw)
        low, high = t_interval(*moments([probe(matrix, pairs, draw, 1).trace for _ in range(10)]), 0.95)
        hits += low <= truth <= high
    assert hits >= 180, f"{hits} of 200"


def test_what_the_basis_holds_is_not_left_to_chance() -> None:
    matrix, draw = Matrix.with_values(list(heavy(400))), torch.Generator().manual_seed(0)
    pairs, none = lanczos(matrix, Wanted(5, 1), draw), lanczos(matrix, Wanted(1, most=1), draw)
    with_basis = np.std([probe(matrix, pairs, draw, 1).trace for _ in range(40)])
    without = np.std([probe(matrix, none, draw, 1).trace for _ in range(40)])
    assert with_basis < without / 2


@pytest.mark.parametrize("seed", range(3))
def test_the_density_of_a_known_spectrum(seed: int) -> None:
    matrix, draw = Matrix.with_values(list(heavy(800, seed))), torch.Generator().manual_seed(seed)
    pairs = lanczos(matrix, Wanted(5, 1), draw)
    plain = Settings()
    probes = [probe(matrix, pairs, draw, plain.depth) for _ in range(plain.deep)]
    apart, off = far(assembled(pairs, probes, matrix.size), matrix.values)
    assert apart <= APART and off <= OFF


NETS: dict[str, tuple[Callable[[], torch.nn.Module], Callable[..., Any]]] = {
    "deep": (deep, columns),
    "convolutional": (rectified, squares),
}

Both = tuple[Spectrum, list[Spectrum], np.ndarray[Any, Any]]


@pytest.fixture(params=list(NETS), scope="module")
def both(request: pytest.FixtureRequest) -> Both:
    """A net of 1,000 to 1,400 parameters through the full matrix, through Lanczos by two seeds, and its true
    spectrum."""
    made, data = NETS[request.param]
    inputs, labels = data()
    net = learned(made(), inputs, labels, 20)
    truth = np.linalg.eigvalsh(whole(net, lambda f: cross_entropy(f(inputs.double()), labels)))
    found = []
    for full, seed in ((2000, 3), (0, 3), (0, 4)):
        with pytest.MonkeyPatch.context() as patch, products(net, parts(net, inputs, labels, [10])) as operator:
            patch.setattr(engine, "FULL", full)
            found.append(engine.spectrum(operator, Settings(), seed))
    return found[0], found[1:], truth


def test_small_models_are_exact(both: Both) -> None:
    full, _, truth = both
    assert full.full and full.converged and full.products >= len(truth)
    assert full.values == pytest.approx([*truth[::-1][:5], truth[0]], rel=1e-4)
    assert full.traces == pytest.approx([truth.sum()], rel=1e-4)
    assert np.sort(full.density.nodes) == pytest.approx(truth, abs=1e-5 * truth.max())
    assert full.residuals.max() < 1e-4 * truth.max()
    assert full.trace_relative_se() == 0


def test_the_density_is_that_of_the_full_matrix(both: Both) -> None:
    full, runs, truth = both
    share = full.negative_share()
    assert share is not None
    for found in runs:
        apart, off = far(found.density, truth)
        assert apart <= APART and off <= OFF
        assert found.density.weights.sum() == pytest.approx(1)
        assert found.negative_share() == pytest.approx(share, abs=0.05)


def test_lanczos_sees_the_same(both: Both) -> None:
    full, (found, *_), truth = both
    assert not found.full and found.converged and found.missed is None
    assert found.values == pytest.approx(full.values, rel=1e-4)
    assert len(found.traces) == 10
    low, high = t_interval(*moments(found.traces), 0.999)
    assert low <= truth.sum() <= high
    assert found.alone == pytest.approx(full.alone, rel=1e-2)
    assert found.vectors <= 5 + 20


def test_the_same_seed_gives_the_same_numbers() -> None:
    net, (inputs, labels) = smooth(width=3), columns(20)
    runs = []
    for seed in (1, 1, 2):
        with pytest.MonkeyPatch.context() as patch, products(net, parts(net, inputs, labels, [])) as operator:
            patch.setattr(engine, "FULL", 0)
            runs.append(engine.spectrum(operator, Settings(depth=4), seed))
    assert (runs[0].traces == runs[1].traces).all() and (runs[0].values == runs[1].values).all()
    assert (runs[0].traces != runs[2].traces).any()
    assert not len(runs[0].alone) and runs[0].batch_spread() is None


@pytest.mark.parametrize("size", [30, 3000])
def test_batches_that_see_other_features_are_searched_beside_the_mean(size: int) -> None:
    net, inputs = torch.nn.Linear(size, 1, bias=False), torch.zeros(8, size)
    inputs[:4, 0], inputs[4:, 1] = 3.0, 5.0
    each = [Part(partial(net, x), lambda z: z.square().mean(), 4) for x in inputs.split(4)]
    with products(net, each) as operator:
        found = engine.spectrum(operator, Settings(depth=2), 0)
    assert found.values[:2] == pytest.approx([25, 9], rel=1e-4)
    assert found.alone == pytest.approx([18, 50], rel=1e-2)


class Careless(torch.autograd.Function):
    """x / |x| by rows, whose backward takes |x| for a constant where it is differentiated again."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x / x.norm(dim=1, keepdim=True)

    @staticmethod
    def backward(ctx: Any, *pulled: Any) -> Any:
        (x,) = ctx.saved_tensors
        length = x.detach().norm(dim=1, keepdim=True)
        return (pulled[0] - x * (x * pulled[0]).sum(1, keepdim=True) / length**2) / length


@pytest.mark.parametrize("full", [0, 2000])
def test_second_derivatives_that_are_not_symmetric_are_seen(full: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "FULL", full)
    net, (inputs, labels) = smooth(), columns(20)

    def through(unit: Any, rows: torch.Tensor) -> torch.Tensor:
        return net[2](unit(net[0](rows)))  # type: ignore[no-any-return]  # torch types a module's call as Any

    for unit, skewed in ((Careless.apply, True), (normalize, False)):
        with products(net, parts(partial(through, unit), inputs, labels, [])) as operator:
            found = engine.spectrum(operator, Settings(depth=2), 0)
        assert found.is_skewed == skewed and (skewed or found.skew < 1e-4)


def test_what_equal_eigenvalues_hide_is_told() -> None:
    matrix, draw = Matrix.with_values([5.0, 5.0, 1.0, *[0.0] * 100]), torch.Generator().manual_seed(0)
    wanted = Wanted(2)
    pairs = lanczos(matrix, wanted, draw)
    density = assembled(pairs, [probe(matrix, pairs, draw, 8) for _ in range(3)], matrix.size)
    assert engine._missed(pairs, density, wanted) == pytest.approx(5, abs=0.01)


def test_numbers_read_off_a_density() -> None:
    nodes = np.array([10.0, -1.0, *np.linspace(-0.5, 0.5, 101)])
    density = Density(nodes, np.full(103, 1 / 103))
    assert density.below(-0.49) == pytest.approx(2 / 103)
    assert density.quantile(0.5) == pytest.approx(0.0, abs=0.02)
    rest = Density(nodes[2:], density.weights[2:])
    assert rest.quantile(0.95) - rest.quantile(0.05) == pytest.approx(0.9, abs=0.02)
    area = np.trapezoid(density.curve(np.linspace(-5, 15, 5000), 0.1), np.linspace(-5, 15, 5000))
    assert area == pytest.approx(1, abs=1e-3)
