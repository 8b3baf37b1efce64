"""Maps by name: the ones of the shared sweep are those that the method gives by itself."""

from dataclasses import replace

import numpy as np
import pytest
from making import digits, make

from auditor.artifacts.attributions import Attributions
from auditor.artifacts.explanations import AttributionsNeed, maps_of
from auditor.methods.similarity.ranks import signed_rank_correlation


@pytest.mark.parametrize("method", ["saliency", "input_x_gradient", "grad_cam"])
def test_the_sweep_and_the_method_alone_give_the_same_maps(method: str) -> None:
    shared = maps_of(digits(), method, 40)
    alone = AttributionsNeed(shared.sweep, 40, method)  # type: ignore[attr-defined]
    one, other = make(shared), make(alone)
    assert isinstance(one, Attributions) and one.maps.shape == other.maps.shape and len(one.maps) == 40
    np.testing.assert_allclose(one.maps, other.maps, atol=1e-5 * np.abs(other.maps).max())
    assert one.explained.examples == other.explained.examples and one.layer == other.layer
    assert one.maps.any(axis=(1, 2)).all()


def test_facts_of_each_example_and_halved_batches_reach_the_artifact() -> None:
    need = maps_of(digits(), "integrated_gradients", 20, last=16)
    found = make(need)
    assert found.maps.shape == (20, 32, 32) and set(found.facts) == {"completeness_error", "steps"}
    assert (found.facts["steps"] == 16).all() and (found.facts["completeness_error"] >= 0).all()
    assert found.notes()[:-1] == found.explained.notes() and "folded copy" in found.notes()[-1]
    assert "halved 3 times" in replace(found, halved=3).notes()[-2]


def test_reduced_precision_changes_perturbed_forwards_a_little_and_nothing_else() -> None:
    full = digits(16)
    reduced = full.model_copy(update={"runtime": full.runtime.model_copy(update={"precision": "bfloat16"})})
    for method, same in (("occlusion", False), ("integrated_gradients", True)):
        one, other = (make(maps_of(subject, method, 4)) for subject in (full, reduced))
        assert np.array_equal(one.maps, other.maps) == same
        assert signed_rank_correlation(one.maps, other.maps).values.mean() >= 0.99
