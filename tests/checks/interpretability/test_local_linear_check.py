"""Local linear surrogates of the shipped network: measured, repeatable, and nothing where nothing varies."""

import numpy as np
from making import digits, evidence

from auditor.artifacts.explained import Explained
from auditor.artifacts.local_linear import RADII, Tangents
from auditor.checks.interpretability.local_linear import LocalLinear


def test_coalitions_are_faithful_and_fits_agree_on_a_small_network() -> None:
    check = LocalLinear(coalitions=60, rows=4, grid=4)
    found, again = (evidence(check, digits(16)) for _ in range(2))
    values = {m.name: m.value for m in found.measurements}
    assert found == again
    assert 0.2 < values["fidelity_r2"] <= 1 and 0.3 < values["seed_agreement"] <= 1
    assert "folded copy" in found.notes[-1]


def test_too_few_coalitions_for_the_parts_agree_less() -> None:
    few = evidence(LocalLinear(coalitions=20, rows=4, grid=7), digits(16))
    many = evidence(LocalLinear(coalitions=100, rows=4, grid=4), digits(16))
    assert few.measurements[1].value < many.measurements[1].value - 0.1


def test_tangents_reach_some_way() -> None:
    found = evidence(LocalLinear(kind="tangent", rows=8, draws=10), digits(16))
    assert [m.name for m in found.measurements] == ["radius_90"] and found.measurements[0].value >= RADII[0]
    (line,) = found.blocks[0].lines
    assert line.y[0] > 0.8 > line.y[-1]


def test_what_does_not_vary_is_left_out_and_counted() -> None:
    index = np.zeros(4, np.int64)
    explained = Explained(index, index, index, np.ones(4, np.float32), ("a", "b", "c", "d"), classes=("x", "y"))
    found = LocalLinear(kind="tangent").measure(
        found=Tangents(np.full((4, len(RADII)), np.nan), np.full(4, np.nan), explained)
    )
    assert not found.measurements and "4 of 4 examples" in found.notes[0]


def test_bands_and_columns_are_those_of_the_groups_and_examples() -> None:
    index, r2 = np.zeros(40, np.int64), np.random.default_rng(0).uniform(0.9, 1, (40, len(RADII)))
    names, radius = tuple(f"{row:064x}" for row in range(40)), np.linspace(0.01, 0.2, 40)
    widths = []
    for groups in ((), tuple(f"g{row // 10}" for row in range(40)), ("g",) * 40):
        explained = Explained(index, index, index, np.ones(40, np.float32), names, groups, classes=("x", "y"))
        found = LocalLinear(kind="tangent").measure(found=Tangents(r2, radius, explained))
        assert found.samples["radius_90"] == tuple(radius.tolist()) and found.examples == names
        (line,) = found.blocks[0].lines
        widths.append(line.high[0] - line.low[0] if line.low else None)
    assert widths[1] > widths[0] and widths[2] is None
