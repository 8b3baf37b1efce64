"""Tensors that begin at zero, intervals in which nothing moves, and matrices that stop: said, and no wild numbers."""

from dataclasses import replace

import numpy as np
import torch
from histories import changes

from auditor.methods.training.rates import early_ratios, from_zero, oddities, stability, tensor_rates
from auditor.recorder.watch import Watch


def test_a_head_that_begins_at_zero_is_in_no_early_ratio_and_is_named() -> None:
    moved = np.full((10, 4), 1.0)
    found = changes(moved, np.full((10, 4), 100.0))
    norm = found.norm.copy()
    norm[0, 3] = 0.0
    zero = replace(found, norm=norm)
    assert from_zero(zero).tolist() == [False, False, False, True]
    assert max(early_ratios(zero, tensor_rates(zero, "l2")).values()) == 1.0
    assert "1 matrices begin at or near zero and are left out of early_rate_ratio: t3." in oddities(zero)
    assert oddities(found) == ()


def test_the_elementwise_change_of_zeros_is_a_number_of_the_size_of_the_floor() -> None:
    tensor = torch.zeros(3, 4)
    watch = Watch({"w": tensor})
    tensor += torch.full((3, 4), 0.5)
    moved = watch.mark()
    assert abs(moved.elementwise[0] - 1000) < 1e-2 and np.isfinite(moved.quantiles).all()


def test_a_history_that_mostly_stands_still_is_not_called_steady() -> None:
    rates = np.array([0.0] * 97 + [1.0, 1.0, 1.0])
    assert stability(rates, np.full(100, np.nan)) is None
    assert stability(np.ones(10), np.full(10, np.nan)) == 0


def test_one_state_twice_and_a_matrix_that_stops_are_said() -> None:
    moved = np.full((6, 3), 1.0)
    moved[2] = 0.0
    moved[4:, 1] = 0.0
    said = oddities(changes(moved, np.full((6, 3), 100.0)))
    assert "In 1 intervals nothing moved at all, as if one state stood there twice: steps 20 to 30." in said
    assert "1 matrices stood still at the end, having moved before: t1." in said
