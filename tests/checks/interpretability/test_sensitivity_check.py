"""Sensitivity on the shipped network: finite, repeatable, and larger for a method that shatters."""

import numpy as np
from making import digits, evidence

from auditor.artifacts.explained import Explained
from auditor.artifacts.sensitivity import Sensitivities
from auditor.checks.interpretability.sensitivity import Sensitivity
from auditor.evidence import Evidence, Moments


def value(found: Evidence) -> float:
    return next(m.value for m in found.measurements if m.name == "max_sensitivity")


def test_grad_cam_keeps_stiller_than_input_x_gradient_and_repeats_bit_for_bit() -> None:
    coarse, again = (evidence(Sensitivity(draws=4), digits()) for _ in range(2))
    fine = evidence(Sensitivity(method="input_x_gradient", draws=4), digits())
    assert coarse == again
    assert 0 < value(coarse) < value(fine) < 1
    assert len(coarse.samples["max_sensitivity"]) == 32


def test_empty_maps_are_left_out_and_counted() -> None:
    index = np.zeros(40, np.int64)
    names = tuple(f"{row:064x}" for row in range(40))
    explained = Explained(index, index, index, np.ones(40, np.float32), names, classes=("cat", "dog"))
    largest = np.full(40, 0.25)
    largest[:3] = np.nan
    found = Sensitivity().measure(found=Sensitivities(largest, explained))
    assert found.measurements[0].distribution == Moments(mean=0.25, sd=0.0, n=37)
    assert found.examples == names[3:] and "3 of 40 maps are zero" in found.notes[0]
    nothing = Sensitivity().measure(found=Sensitivities(np.full(40, np.nan), explained))
    assert not nothing.measurements and "40 of 40" in nothing.notes[0]
