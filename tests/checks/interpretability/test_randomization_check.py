"""Randomization: a healthy network's gradient methods pass, a map of edges fails, whatever the seed."""

import numpy as np
import pytest
import torch
from making import digits, evidence, make

from auditor.artifacts.attributions import Attributions
from auditor.artifacts.randomization import _correlated
from auditor.checks.interpretability.randomization import Randomization
from auditor.evidence import Evidence, Moments
from auditor.judge.baseline import column
from auditor.statistics import t_interval


def end(found: Evidence, name: str, of: str, side: int) -> float:
    """The lower (0) or upper (1) end of the 95% interval of a measurement."""
    one = next(m for m in found.measurements if (m.name, m.of) == (name, of))
    assert isinstance(one.distribution, Moments)
    return t_interval(one.distribution.mean, one.distribution.sd, one.distribution.n, 0.95)[side]


METHODS = ("saliency", "input_x_gradient", "guided_backprop", "edges")


@pytest.fixture(scope="module")
def found() -> Evidence:
    return evidence(Randomization(methods=METHODS), digits(32))


def test_gradient_methods_of_a_healthy_network_pass(found: Evidence) -> None:
    for method in ("saliency", "input_x_gradient"):
        assert end(found, "insensitive_share", method, 1) < 0.4 and end(found, "similarity_top", method, 1) < 0.7


def test_a_map_of_edges_fails(found: Evidence) -> None:
    assert end(found, "insensitive_share", "edges", 0) > 0.9 and end(found, "similarity_top", "edges", 0) > 0.9
    assert end(found, "similarity_to_edges", "edges", 0) == pytest.approx(1)
    assert end(found, "similarity", "edges", 0) == pytest.approx(1)


def test_guided_backpropagation_fails_as_it_is_known_to(found: Evidence) -> None:
    assert end(found, "insensitive_share", "guided_backprop", 0) > 0.5
    assert end(found, "similarity_top", "guided_backprop", 0) > 0.7


def test_figures_and_samples_are_complete(found: Evidence) -> None:
    curves, table = found.blocks
    assert [line.label for line in curves.lines][::2] == list(METHODS)
    assert len(table.rows) == 4 and all(cell is not None for row in table.rows for cell in row)
    judged = [(name, of) for name in ("insensitive_share", "similarity_top") for of in METHODS]
    assert set(found.samples) == {column(name, of) for name, of in judged}, "as a baseline looks for them"
    assert len(found.examples) == 32


def test_it_repeats_bit_for_bit_and_leaves_the_model_alone() -> None:
    check, subject = Randomization(methods=("saliency",), rows=16), digits(16)
    need = check.needs(subject)["found"]
    upstream = {name: make(each) for name, each in need.needs().items()}
    before = {name: value.clone() for name, value in upstream["model"].module.state_dict().items()}
    one, other = need.build(**upstream), need.build(**upstream)
    np.testing.assert_array_equal(one.cascade, other.cascade)
    assert all(torch.equal(value, before[name]) for name, value in upstream["model"].module.state_dict().items())
    assert one.layers[-1] and one.randomized[-1] == len(one.layers)


def test_maps_without_order_are_counted_never_not_a_number() -> None:
    check, subject = Randomization(methods=("saliency", "grad_cam")), digits(32)
    artifact = make(check.needs(subject)["found"])
    assert np.isfinite(artifact.cascade).all() and np.isfinite(artifact.chance).all()
    artifact.empty[1], artifact.lost[0, artifact.top] = True, 5
    found = check.measure(found=artifact)
    assert {m.of for m in found.measurements if m.name == "insensitive_share"} == {"saliency"}
    assert "grad_cam: every map is the same everywhere" in found.notes[0]
    assert any("saliency: with the top fifth random, 5 of 32 maps" in note for note in found.notes)


def test_only_maps_that_had_an_order_can_lose_it() -> None:
    check, subject = Randomization(methods=("saliency",)), digits(32)
    own = make(check.needs(subject)["found"].needs()["explained"])
    full = np.random.default_rng(0).normal(size=(32, 9)).astype(np.float32)
    before, after = full.copy(), full.copy()
    before[:3], after[:5] = 0, 0
    maps = [Attributions(each, np.full(32, 9), own) for each in (before, after)]
    assert _correlated(*maps)[1] == 2
