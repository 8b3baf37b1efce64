"""Maps by name: the ones of the shared sweep are those that the method gives by itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor.artifacts.attributions import Attributions
from auditor.artifacts.explanations import AttributionsNeed, maps_of
from auditor.execute.sweep import sweep
from auditor.needs import Need
from auditor.sources import data, labels, models
from auditor.spec.model import DataEntry, ModelEntry
from auditor.subject import Runtime, Subject

ASSETS = Path(__file__).parents[2] / "specs"


@pytest.fixture(scope="module")
def digits() -> Subject:
    ref = models.describe(
        ModelEntry(name="net", source="transformers", options={"path": "assets/digits-shipped"}), ASSETS
    )
    rows = DataEntry(name="eval", source="sklearn", options={"name": "digits", "split": "test", "sample": {"n": 64}})
    found = labels.match(ref, data.describe(rows, ASSETS))
    return Subject(model=ref, data=found, runtime=Runtime(batch_size=16))


def made(need: Need[Any]) -> Any:
    """The artifact of a need, its upstream made in the same simple way."""
    if hasattr(need, "load"):
        return need.load(ASSETS)
    upstream = {name: made(each) for name, each in need.needs().items()}
    if hasattr(need, "sweep") and hasattr(need, "collect"):
        found = sweep([need], upstream["model"], upstream["batches"])[need.key]  # type: ignore[list-item]
        assert isinstance(found, need.artifact), found
        return found
    return need.build(**upstream)  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["saliency", "input_x_gradient", "grad_cam"])
def test_the_sweep_and_the_method_alone_give_the_same_maps(digits: Subject, method: str) -> None:
    shared = maps_of(digits, method, 40)
    alone = AttributionsNeed(shared.sweep, 40, method)  # type: ignore[attr-defined]
    one, other = made(shared), made(alone)
    assert isinstance(one, Attributions) and one.maps.shape == other.maps.shape and len(one.maps) == 40
    np.testing.assert_allclose(one.maps, other.maps, atol=1e-5 * np.abs(other.maps).max())
    assert one.explained.examples == other.explained.examples and one.layer == other.layer
    assert one.maps.any(axis=(1, 2)).all()
