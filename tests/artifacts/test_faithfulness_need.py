"""Faithfulness end to end on a small model: true maps pass, numbers repeat, maps of texts keep their places."""

from typing import Any

import numpy as np
import pytest
import torch
from making import digits, make

from auditor.artifacts.attributions import Attributions
from auditor.artifacts.explained import Explained
from auditor.artifacts.faithfulness import Faithfulness, faithfulness_of
from auditor.artifacts.infidelity import Infidelities, infidelity_of
from auditor.artifacts.placed import placed
from auditor.execute.codec import decode, encode

SETTINGS: dict[str, Any] = {"points": 4, "nulls": 8, "groups": 3, "grid": 8, "scale": "logit"}


@pytest.fixture(scope="module")
def found() -> Faithfulness:
    artifact: Faithfulness = make(
        faithfulness_of(digits(), ("input_x_gradient", "saliency"), 20, "predicted", **SETTINGS)
    )
    return artifact


def test_curves_run_from_the_whole_input_to_none_of_it(found: Faithfulness) -> None:
    assert found.deletion.shape == found.insertion_null.shape == (2, 2, 20, 5) and found.random.shape == (2, 20, 5)
    for curves in (found.deletion, found.deletion_null):
        np.testing.assert_allclose(curves[..., 0], np.broadcast_to(found.full, curves.shape[:-1]))
        np.testing.assert_allclose(curves[..., -1], np.broadcast_to(found.gone, curves.shape[:-1]))
    np.testing.assert_allclose(found.insertion[..., -1], found.deletion[..., 0])
    assert found.fractions[0].tolist() == [0, 0.25, 0.5, 0.75, 1] and found.parts.tolist() == [64] * 20
    assert found.naopc.shape == (2, 2, 20) and found.forwards > 1000


def test_the_marked_pixels_carry_the_score(found: Faithfulness) -> None:
    gains = found.columns(found.judged(), normalized=True)
    assert gains["deletion_gain"][0].mean() > 0.1 and gains["insertion_gain"][0].mean() > 0.1
    assert gains["naopc"][0].mean() > 0.5


def test_numbers_repeat_to_the_bit_and_survive_the_store(found: Faithfulness) -> None:
    again = make(faithfulness_of(digits(), ("input_x_gradient", "saliency"), 20, "predicted", **SETTINGS))
    stored = decode(*encode(found), Faithfulness)
    for other in (again, stored):
        np.testing.assert_array_equal(found.deletion_null, other.deletion_null)
        np.testing.assert_array_equal(found.naopc, other.naopc)
    assert stored.methods == found.methods and stored.notes() == found.notes()


def test_a_probability_in_percentage_points_starts_at_the_models_own(found: Faithfulness) -> None:
    asked = {**SETTINGS, "scale": "probability"}
    other: Faithfulness = make(faithfulness_of(digits(), ("saliency",), 20, "predicted", **asked))
    np.testing.assert_allclose(other.full, 100 * found.explained.confidence, rtol=1e-4)


def test_input_x_gradient_says_more_of_the_falls_than_the_same_map_elsewhere() -> None:
    need = infidelity_of(digits(), ("input_x_gradient", "saliency"), 20, "predicted", draws=32, nulls=8, grid=8)
    found: Infidelities = make(need)
    assert found.map.shape == found.rolled.shape == (2, 2, 20) and found.moved.all()
    assert (found.rolled - found.map)[0].mean() > 0.1
    again = make(infidelity_of(digits(), ("input_x_gradient", "saliency"), 20, "predicted", draws=32, nulls=8, grid=8))
    np.testing.assert_array_equal(found.map, again.map)
    stored = decode(*encode(found), Infidelities)
    np.testing.assert_array_equal(found.rolled, stored.rolled)


class Texts:
    """A loader of two texts, the second padded, on the left or on the right."""

    def __init__(self, left: bool) -> None:
        mask = torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1] if left else [1, 1, 0, 0]])
        self.inputs = {"input_ids": torch.ones(2, 4, dtype=torch.long), "attention_mask": mask}

    def first(self, rows: int) -> Any:
        labels = torch.zeros(2, dtype=torch.long)
        yield type("Batch", (), {"start": 0, "examples": ("a", "b"), "inputs": self.inputs, "labels": labels})()


@pytest.mark.parametrize("left", [True, False])
def test_maps_of_texts_stand_at_their_own_tokens_again(left: bool) -> None:
    index = np.zeros(2, dtype=np.int64)
    sure = np.ones(2, dtype=np.float32)
    told = Explained(index, index, index, sure, ("a", "b"), scores=np.array([3.0, 4.0], dtype=np.float32))
    maps = np.array([[1.0, 2.0, 3.0, 4.0, 0.0], [5.0, 6.0, 0.0, 0.0, 0.0]], dtype=np.float32)  # a longer text elsewhere
    (batch,) = placed(Texts(left), [Attributions(maps, np.array([4, 2]), told)])
    assert batch.maps[0].tolist() == [[1, 2, 3, 4], [0, 0, 5, 6] if left else [5, 6, 0, 0]]
    assert batch.scores.tolist() == [3.0, 4.0]
