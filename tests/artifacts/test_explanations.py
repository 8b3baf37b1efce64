"""Maps by name: the ones of the shared sweep are those that the method gives by itself."""

import numpy as np
import pytest
from making import digits, make

from auditor.artifacts.attributions import Attributions
from auditor.artifacts.explanations import AttributionsNeed, maps_of


@pytest.mark.parametrize("method", ["saliency", "input_x_gradient", "grad_cam"])
def test_the_sweep_and_the_method_alone_give_the_same_maps(method: str) -> None:
    shared = maps_of(digits(), method, 40)
    alone = AttributionsNeed(shared.sweep, 40, method)  # type: ignore[attr-defined]
    one, other = make(shared), make(alone)
    assert isinstance(one, Attributions) and one.maps.shape == other.maps.shape and len(one.maps) == 40
    np.testing.assert_allclose(one.maps, other.maps, atol=1e-5 * np.abs(other.maps).max())
    assert one.explained.examples == other.explained.examples and one.layer == other.layer
    assert one.maps.any(axis=(1, 2)).all()
