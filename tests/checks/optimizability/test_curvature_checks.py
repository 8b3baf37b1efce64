"""optimizability.sharpness and .spectrum: a sharp minimum beside a flat one, and spectra written by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from auditor.artifacts.curvature import Curvature
from auditor.blocks import Bars, Lines, Table
from auditor.checks.optimizability.sharpness import Sharpness
from auditor.checks.optimizability.spectrum import Spectrum
from auditor.judge.minimum import obstacle
from auditor.methods.curvature.found import Density, Settings
from auditor.methods.curvature.found import Spectrum as Found
from auditor.methods.curvature.products import Part, products
from auditor.methods.curvature.spectrum import spectrum
from tests.checks.judged import measured, one, outcome
from tests.methods.curvature.bending import columns, parts


def found_of(**given: Any) -> Found:
    values = given.pop("values", [8.0, 4.0, -1.0])
    nodes = np.array([*values, *np.linspace(-0.01, 0.01, 997)])
    plain: dict[str, Any] = {
        "size": len(nodes), "top": len(values) - 1, "values": np.array(values),
        "residuals": np.array([0.01, 0.02, 0.03]),
        "errors": np.array([1e-3, 5e-4, 3e-4]), "converged": True, "traces": np.linspace(11.0, 12.0, 10),
        "density": Density(nodes, np.full(len(nodes), 1 / len(nodes))), "alone": np.array([7.0, 9.0]),
        "products": 90.0, "vectors": 20, "graph_bytes": 1 << 20, "rebuilt": 0, "full": False,
    }  # fmt: skip
    return Found(**{**plain, **given})


def curvature(found: Found | None = None, **given: Any) -> Curvature:
    plain: dict[str, Any] = {
        "matrix": "hessian", "rows": 128, "units": 128, "batches": 2, "loss": 0.5, "lr": None, "optimizer": ""
    }  # fmt: skip
    return Curvature(found or found_of(), **{**plain, **given}, remarks=())


def at_minimum(scale: float) -> Curvature:
    """The squared error of w1 w2 x at its minimum w1 w2 = 1: the same function and loss, sharper the larger scale."""
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    with torch.no_grad():
        net[0].weight.fill_(scale)
        net[1].weight.fill_(1 / scale)
    x = torch.linspace(-1, 1, 64)[:, None]
    with products(net, [Part(lambda: net(x), lambda z: mse_loss(z, x), 64)]) as operator:
        return curvature(spectrum(operator, Settings(), 0))


def test_a_sharp_minimum_is_seen_beside_a_flat_one_of_equal_loss() -> None:
    flat, sharp = (Sharpness().measure(curvature=at_minimum(scale)) for scale in (1.0, 10.0))
    bend = 2 * float((torch.linspace(-1, 1, 64) ** 2).mean())
    assert one(flat, "top_eigenvalue").value == pytest.approx(2 * bend, rel=1e-4)
    assert one(sharp, "top_eigenvalue").value == pytest.approx((100 + 0.01) * bend, rel=1e-4)
    assert outcome(one(flat, "top_eigenvalue"), at_most=10) == "pass"
    assert outcome(one(sharp, "top_eigenvalue"), at_most=10) == "fail"
    assert outcome(one(flat, "trace"), at_most=10) == "pass"
    assert outcome(one(sharp, "trace"), at_most=10) == "fail"


def test_numbers_and_figures_of_sharpness() -> None:
    found = Sharpness().measure(curvature=curvature(lr=0.5, optimizer="sgd"))
    top = one(found, "top_eigenvalue")
    assert top.value == 8.0 and not top.censored
    assert (top.distribution.low, top.distribution.high) == pytest.approx((7.99, 8.01))  # type: ignore[union-attr]
    assert one(found, "trace").value == pytest.approx(11.5) and one(found, "trace").n == 10
    assert one(found, "residual").value == 1e-3
    assert one(found, "negative_share").value == pytest.approx(101 / 1000, abs=0.01)
    assert one(found, "batch_spread").value == pytest.approx(0.25)
    eigenvalues, batches, rates = found.blocks
    assert isinstance(eigenvalues, Bars) and [bar.label for bar in eigenvalues.bars] == ["1", "2", "smallest"]
    assert isinstance(batches, Bars) and batches.reference == (8.0, "all rows")
    assert isinstance(rates, Table) and rates.rows == (("sgd", 0.5, 4.0, 2.0),)


def test_what_has_not_converged_is_a_lower_bound_and_never_passes() -> None:
    late = found_of(converged=False, errors=np.array([0.2, 0.1, 0.1]))
    found = Sharpness().measure(curvature=curvature(late))
    assert one(found, "top_eigenvalue").censored
    assert outcome(one(found, "top_eigenvalue"), at_most=20) != "pass"
    assert outcome(one(found, "top_eigenvalue"), at_most=5) == "fail"
    assert any("converged" in note for note in found.notes)
    hidden = Sharpness().measure(curvature=curvature(found_of(missed=7.5)))
    assert any("7.5" in note for note in hidden.notes)


def test_what_a_probe_sees_above_the_largest_makes_that_a_lower_bound() -> None:
    above, equal = (curvature(found_of(missed=seen)) for seen in (9.0, 8.0000001))
    top = one(Sharpness().measure(curvature=above), "top_eigenvalue")
    assert outcome(top, at_most=8.5) == "inconclusive" and outcome(top, at_most=7) == "fail"
    assert outcome(one(Sharpness().measure(curvature=equal), "top_eigenvalue"), at_most=8.5) == "pass"


def test_a_network_that_diverged_until_nothing_bends_does_not_pass_for_flat() -> None:
    inputs, labels = columns()
    net = nn.Linear(15, 4)
    with torch.no_grad():
        net.bias[0] = 1e6
    with products(net, parts(net, inputs, labels, [])) as operator:
        found, loss = spectrum(operator, Settings(), 0), operator.loss()
    assert loss > 1e4 and found.is_zero
    seen = Sharpness().measure(curvature=curvature(found, loss=loss))
    assert seen.measurements == () and seen.inapplicable == {}
    assert f"{loss:.4g}" in seen.notes[0] and "not a flat minimum" in seen.notes[-1]


def test_products_that_are_not_symmetric_decide_nothing() -> None:
    wrong = curvature(found_of(skew=0.2))
    found, spread = Sharpness().measure(curvature=wrong), Spectrum().measure(curvature=wrong)
    for each in (one(found, "top_eigenvalue"), one(found, "trace"), one(spread, "trace_relative_se")):
        assert outcome(each, at_most=1000) == "inconclusive" and outcome(each, at_most=1e-9) == "inconclusive"
    assert any("symmetric" in note and "0.2" in note for note in found.notes)


def test_a_loss_without_an_eigenvalue_above_zero() -> None:
    nothing = found_of(values=[0.0, -1.0, -2.0], traces=np.zeros(1), density=Density(np.zeros(9), np.full(9, 1 / 9)))
    found = Sharpness().measure(curvature=curvature(nothing))
    assert one(found, "top_eigenvalue").value == 0
    assert not measured(found, "negative_share") and not measured(found, "batch_spread")
    assert any("No eigenvalue is above 0" in note for note in found.notes)
    spread = Spectrum().measure(curvature=curvature(nothing))
    assert not measured(spread, "trace_relative_se") and not measured(spread, "bulk_width") and not spread.blocks


def test_the_shape_of_a_spectrum() -> None:
    found = Spectrum().measure(curvature=curvature())
    assert one(found, "outliers").value == 2
    assert one(found, "bulk_width").value == pytest.approx(0.018 / 8, rel=0.02)
    traces = np.linspace(11.0, 12.0, 10)
    assert one(found, "trace_relative_se").value == pytest.approx(traces.std(ddof=1) / 10**0.5 / 11.5)
    assert outcome(one(found, "trace_relative_se"), at_most=0.05) == "pass"
    noisy = Spectrum().measure(curvature=curvature(found_of(traces=np.linspace(1.0, 30.0, 10))))
    assert outcome(one(noisy, "trace_relative_se"), at_most=0.05) == "fail"
    two = one(Spectrum().measure(curvature=curvature(found_of(traces=np.array([11.0, 11.01])))), "trace_relative_se")
    assert obstacle(two, 0.95) != "" == obstacle(one(found, "trace_relative_se"), 0.95)  # two may agree by chance
    assert {one(found, name).kind for name in ("bulk_width", "outliers")} == {"unreplicated"}
    whole = Spectrum().measure(curvature=curvature(found_of(full=True, traces=np.array([11.0]))))
    assert one(whole, "trace_relative_se").value == 0 and {each.kind for each in whole.measurements} == {"exact"}
    (density,) = found.blocks
    assert isinstance(density, Lines) and density.y_log and min(density.lines[0].y) > 0
