"""Class sensitivity: 1 for a method that ignores the class, low for Grad-CAM on a healthy network."""

from typing import Any

import numpy as np
import pytest
import torch
from making import digits, evidence
from pydantic import ValidationError

from auditor.artifacts.attributions import Attributions
from auditor.artifacts.class_maps import ClassMaps, _compared, foremost
from auditor.artifacts.explained import Explained
from auditor.checks.interpretability.class_sensitivity import ClassSensitivity
from auditor.methods.attribution import explain
from auditor.methods.attribution.method import Maps

N = 40


def explained() -> Explained:
    index = np.zeros(N, np.int64)
    names = tuple(f"{row:064x}" for row in range(N))
    return Explained(index, index, index, np.ones(N, np.float32), names, classes=("a", "b", "c"))


def attributions(values: np.ndarray) -> Attributions:
    return Attributions(values.astype(np.float32), np.full(N, values.shape[1]), explained())


def measured(found: ClassMaps) -> float:
    return ClassSensitivity().measure(found=found).measurements[0].value


def test_equal_maps_correlate_fully_and_mirrored_maps_negatively() -> None:
    one = np.random.default_rng(0).normal(size=(N, 9))
    assert measured(_compared([attributions(one)] * 3, explained())) == pytest.approx(1)
    assert measured(_compared([attributions(one), attributions(-one)], explained())) == pytest.approx(-1)


def test_maps_without_order_are_left_out_and_counted() -> None:
    one = np.random.default_rng(0).normal(size=(N, 9))
    empty = one.copy()
    empty[:5] = 0
    found = ClassSensitivity().measure(found=_compared([attributions(one), attributions(empty)], explained()))
    assert found.measurements[0].n == N - 5 and "5 of 40 examples" in found.notes[0]
    nothing = ClassSensitivity().measure(found=_compared([attributions(one * 0)] * 2, explained()))
    assert not nothing.measurements and "40 of 40" in nothing.notes[0]


def test_the_explained_class_comes_first_whatever_its_logit() -> None:
    class Fixed:
        def logits(self, inputs: Any) -> torch.Tensor:
            return inputs

    logits = torch.tensor([[0.1, 5.0, 2.0, 3.0], [4.0, 1.0, 2.0, 3.0]])
    assert foremost(Fixed(), logits, torch.tensor([0, 0]), 3).tolist() == [[0, 1, 3], [0, 3, 2]]


def test_a_healthy_network_separates_classes_and_a_method_that_ignores_them_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = evidence(ClassSensitivity(), digits())
    assert found.measurements[0].value < 0.5 and found.measurements[0].n == 32

    class Blind:
        name, signed = "input_x_gradient", True

        def maps(self, model: Any, inputs: Any, targets: Any, context: Any) -> Maps:
            return Maps(inputs.sum(dim=1))

    monkeypatch.setitem(explain.METHODS, "input_x_gradient", Blind)
    blind = evidence(ClassSensitivity(method="input_x_gradient"), digits())
    assert blind.measurements[0].value == pytest.approx(1)


def test_it_does_not_apply_to_two_classes_nor_to_maps_without_sign() -> None:
    subject = digits()
    two = subject.model_copy(update={"model": subject.model.model_copy(update={"outputs": 2})})
    assert "two classes" in str(ClassSensitivity().applies(two))
    for unsigned in ("saliency", "guided_backprop"):
        with pytest.raises(ValidationError, match="input_x_gradient"):
            ClassSensitivity.model_validate({"method": unsigned})
    assert ClassSensitivity().applies(subject) is None
